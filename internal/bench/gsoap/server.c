/*
 * server is the service of orders.wsdl on gSOAP, for BenchmarkServerBesideGSOAP.
 *
 * It does what gSOAP's guide recommends for speed: threads that take
 * connections, connections that stay open, no multi-references (SOAP_XML_TREE).
 * The first argument says how answers are sent: "buffer" counts first, "store"
 * keeps the answer until it is complete, "chunk" sends pieces. The second is the
 * number of threads. It listens on a port of its own choice, says which on its
 * standard output, and ends with its standard input.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "soapH.h"
#include "OrdersSoap.nsmap"

static void fail(const char *what)
{
	fprintf(stderr, "server: %s\n", what);
	exit(1);
}

int __ns1__Echo(struct soap *soap, struct _ns1__Echo *request, struct _ns1__EchoResponse *response)
{
	(void)soap;
	response->__sizeorder = request->__sizeorder;
	response->order = request->order;
	return SOAP_OK;
}

static void *serve(void *master)
{
	struct soap *soap = soap_copy(master);

	if (soap == NULL)
		fail("out of memory");
	for (;;) {
		if (soap_valid_socket(soap_accept(soap)))
			soap_serve(soap);
		soap_destroy(soap);
		soap_end(soap);
	}
	return NULL;
}

/* end_request frees what a request took, as soap_serve does not between those of
 * one connection. */
static int end_request(struct soap *soap)
{
	soap_destroy(soap);
	soap_end(soap);
	return SOAP_OK;
}

int main(int argc, char **argv)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof addr;
	soap_mode out = SOAP_IO_KEEPALIVE | SOAP_C_UTFSTRING | SOAP_XML_TREE;
	struct soap *soap;
	int i;

	signal(SIGPIPE, SIG_IGN); /* of clients that go away */
	if (argc != 3)
		fail("usage: server buffer|store|chunk threads");
	if (strcmp(argv[1], "store") == 0)
		out |= SOAP_IO_STORE;
	else if (strcmp(argv[1], "chunk") == 0)
		out |= SOAP_IO_CHUNK;
	soap = soap_new2(SOAP_IO_KEEPALIVE | SOAP_C_UTFSTRING | SOAP_XML_TREE, out);
	if (soap == NULL)
		fail("out of memory");
	soap->max_keep_alive = 0; /* without end */
	soap->fserveloop = end_request;
	soap->accept_timeout = soap->send_timeout = soap->recv_timeout = 0;
	soap->bind_flags = SO_REUSEADDR;
	if (!soap_valid_socket(soap_bind(soap, "127.0.0.1", 0, 100))) {
		soap_print_fault(soap, stderr);
		fail("bind");
	}
	if (getsockname(soap->master, (struct sockaddr *)&addr, &len) != 0)
		fail("getsockname");
	for (i = atoi(argv[2]); i > 0; i--) {
		pthread_t thread;

		if (pthread_create(&thread, NULL, serve, soap) != 0)
			fail("pthread_create");
	}
	printf("127.0.0.1:%d\n", ntohs(addr.sin_port));
	fflush(stdout);
	while (getchar() != EOF)
		;
	_exit(0);
}
