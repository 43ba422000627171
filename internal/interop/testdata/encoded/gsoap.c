/* A server and a client of the description, on code that gSOAP's soapcpp2 made:
 *   gsoap serve PORT    answers each call with what it got
 *   gsoap call URL V    makes calls in SOAP 1.V, prints the answers, one a line
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "soapH.h"
#include "Encoded.nsmap"

int ns1__echoStruct(struct soap *soap, struct ns2__Person *person, struct ns1__echoStructResponse *out)
{
	out->return_ = person;
	return SOAP_OK;
}

int ns1__echoStrings(struct soap *soap, struct ArrayOfString *list, struct ns1__echoStringsResponse *out)
{
	out->return_ = list;
	return SOAP_OK;
}

int ns1__echoNumbers(struct soap *soap, struct ArrayOfInt *list, struct ns1__echoNumbersResponse *out)
{
	out->return_ = list;
	return SOAP_OK;
}

int ns1__echoPeople(struct soap *soap, struct ArrayOfPerson *list, struct ns1__echoPeopleResponse *out)
{
	out->return_ = list;
	return SOAP_OK;
}

int ns1__echoTable(struct soap *soap, struct ArrayOfArrayOfInt *table, struct ns1__echoTableResponse *out)
{
	out->return_ = table;
	return SOAP_OK;
}

/* A lead becomes deputy and the last member as well: the same struct thrice. */
int ns1__echoTeam(struct soap *soap, struct ns2__Team *team, struct ns1__echoTeamResponse *out)
{
	out->return_ = team;
	if (team && team->lead && team->members) {
		int n = team->members->__size;
		struct ns2__Person **all = soap_malloc(soap, (n + 1) * sizeof *all);
		memcpy(all, team->members->__ptr, n * sizeof *all);
		all[n] = team->deputy = team->lead;
		team->members->__ptr = all;
		team->members->__size = n + 1;
	}
	return SOAP_OK;
}

int ns1__echoAny(struct soap *soap, char *value, char **out)
{
	*out = value;
	return SOAP_OK;
}

int ns1__echoChain(struct soap *soap, struct ns2__Chain *chain, struct ns1__echoChainResponse *out)
{
	out->return_ = chain;
	return SOAP_OK;
}

int ns1__divide(struct soap *soap, int dividend, int divisor, struct ns1__divideResponse *out)
{
	if (divisor == 0)
		return soap_sender_fault(soap, "division by zero", NULL);
	out->_quotient = dividend / divisor;
	out->_remainder = dividend % divisor;
	return SOAP_OK;
}

int ns1__ping(struct soap *soap, struct ns1__pingResponse *out)
{
	return SOAP_OK;
}

static int serve(struct soap *soap, int port)
{
	soap->bind_flags = SO_REUSEADDR;
	if (!soap_valid_socket(soap_bind(soap, "127.0.0.1", port, 16))) {
		soap_print_fault(soap, stderr);
		return 1;
	}
	for (;;) {
		if (!soap_valid_socket(soap_accept(soap))) {
			soap_print_fault(soap, stderr);
			return 1;
		}
		if (soap_serve(soap) && soap->error != SOAP_STOP)
			soap_print_fault(soap, stderr);
		soap_destroy(soap);
		soap_end(soap);
	}
}

static void fault(struct soap *soap, const char *name)
{
	printf("%s: fault: %s\n", name, *soap_faultstring(soap) ? *soap_faultstring(soap) : "?");
}

static void person(const struct ns2__Person *p)
{
	if (!p)
		printf(" nil");
	else
		printf(" (%s %d %g %ld %s %d)", p->name, p->age, p->height, (long)p->born, p->nick ? p->nick : "nil", (int)p->member);
}

static void people(const struct ArrayOfPerson *list)
{
	int i;
	printf(" [");
	for (i = 0; list && i < list->__size; i++)
		person(list->__ptr[i]);
	printf(" ]");
}

static int call(struct soap *soap, const char *url)
{
	int i, j;
	struct ns2__Person ada = {"Ada", 36, 1.65, 1000000000, NULL, xsd__boolean__true_};
	struct ns2__Person bob = {"", -1, 0, 951829200, "b", xsd__boolean__false_};
	char *texts[] = {"a", "", "c"};
	struct ArrayOfString strings = {texts, 3}, none = {texts, 0};
	int ints[] = {1, -2, 3};
	struct ArrayOfInt numbers = {ints, 3}, first = {ints, 1};
	struct ArrayOfInt *rows[] = {&numbers, &first, &numbers};
	struct ArrayOfArrayOfInt table = {rows, 3};
	struct ns2__Person *who[] = {&ada, &bob, &ada};
	struct ArrayOfPerson list = {who, 3};
	struct ns2__Team team = {"t", &ada, &ada, &list, &strings};
	struct ns2__Chain second = {"2", NULL}, chain = {"1", &second};

	struct ns1__echoStructResponse s;
	if (soap_call_ns1__echoStruct(soap, url, NULL, &ada, &s))
		fault(soap, "struct");
	else {
		printf("struct:");
		person(s.return_);
		printf("\n");
	}
	if (soap_call_ns1__echoStruct(soap, url, NULL, NULL, &s))
		fault(soap, "no struct");
	else {
		printf("no struct:");
		person(s.return_);
		printf("\n");
	}
	struct ns1__echoStringsResponse t;
	if (soap_call_ns1__echoStrings(soap, url, NULL, &strings, &t))
		fault(soap, "strings");
	else {
		printf("strings:");
		for (i = 0; i < t.return_->__size; i++)
			printf(" '%s'", t.return_->__ptr[i]);
		printf("\n");
	}
	if (soap_call_ns1__echoStrings(soap, url, NULL, &none, &t))
		fault(soap, "no strings");
	else
		printf("no strings: %d\n", t.return_->__size);
	struct ns1__echoNumbersResponse n;
	if (soap_call_ns1__echoNumbers(soap, url, NULL, &numbers, &n))
		fault(soap, "numbers");
	else {
		printf("numbers:");
		for (i = 0; i < n.return_->__size; i++)
			printf(" %d", n.return_->__ptr[i]);
		printf("\n");
	}
	struct ns1__echoPeopleResponse p;
	if (soap_call_ns1__echoPeople(soap, url, NULL, &list, &p))
		fault(soap, "people");
	else {
		printf("people:");
		people(p.return_);
		printf("\n");
	}
	struct ns1__echoTableResponse m;
	if (soap_call_ns1__echoTable(soap, url, NULL, &table, &m))
		fault(soap, "table");
	else {
		printf("table:");
		for (i = 0; i < m.return_->__size; i++) {
			printf(" [");
			for (j = 0; j < m.return_->__ptr[i]->__size; j++)
				printf(" %d", m.return_->__ptr[i]->__ptr[j]);
			printf(" ]");
		}
		printf("\n");
	}
	struct ns1__echoTeamResponse e;
	if (soap_call_ns1__echoTeam(soap, url, NULL, &team, &e))
		fault(soap, "team");
	else {
		printf("team: %s", e.return_->name);
		person(e.return_->lead);
		person(e.return_->deputy);
		people(e.return_->members);
		printf(" %d\n", e.return_->tags->__size);
	}
	char *a = NULL;
	if (soap_call_ns1__echoAny(soap, url, NULL, "<x>1</x>", &a))
		fault(soap, "any");
	else
		printf("any: %s\n", a);
	struct ns1__echoChainResponse c;
	if (soap_call_ns1__echoChain(soap, url, NULL, &chain, &c))
		fault(soap, "chain");
	else
		printf("chain: %s %s %s\n", c.return_->link, c.return_->next->link, c.return_->next->next ? "more" : "end");
	second.next = &chain;
	if (soap_call_ns1__echoChain(soap, url, NULL, &chain, &c))
		fault(soap, "circle");
	else
		printf("circle: accepted\n");
	struct ns1__divideResponse d;
	if (soap_call_ns1__divide(soap, url, NULL, 17, 5, &d))
		fault(soap, "divide");
	else
		printf("divide: %d %d\n", d._quotient, d._remainder);
	if (soap_call_ns1__divide(soap, url, NULL, 1, 0, &d))
		fault(soap, "by zero");
	else
		printf("by zero: accepted\n");
	struct ns1__pingResponse g;
	if (soap_call_ns1__ping(soap, url, NULL, &g))
		fault(soap, "ping");
	else
		printf("ping: ok\n");
	return 0;
}

int main(int argc, char **argv)
{
	struct soap *soap;
	if (argc == 4 && !strcmp(argv[3], "1")) { /* the tools prefer SOAP 1.2 */
		namespaces[0].ns = "http://schemas.xmlsoap.org/soap/envelope/";
		namespaces[1].ns = "http://schemas.xmlsoap.org/soap/encoding/";
	}
	soap = soap_new();
	if (argc == 3 && !strcmp(argv[1], "serve"))
		return serve(soap, atoi(argv[2]));
	if (argc == 4 && !strcmp(argv[1], "call"))
		return call(soap, argv[2]);
	fprintf(stderr, "usage: gsoap serve PORT | call URL 1|2\n");
	return 2;
}
