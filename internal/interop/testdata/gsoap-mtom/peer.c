/* Both sides of the archive service on gSOAP, with code that wsdl2h and soapcpp2
   made of its description:

     peer serve PORT       until standard input ends
     peer call URL [USER]          the password is a line of standard input

   Contents are compared by a sum (FNV-1a) and a length. */
#include "soapH.h"
#include "ArchiveBinding.nsmap"
#include <poll.h>

static char *pattern(struct soap *soap, int n, int seed) {
	char *b = soap_malloc(soap, n + 1);
	for (int i = 0; i < n; i++) b[i] = (char)(i * 7 + (i >> 8) + seed);
	return b;
}

static struct xsd__base64Binary content(struct soap *soap, int n, int seed, int part) {
	struct xsd__base64Binary b;
	memset(&b, 0, sizeof b);
	b.__ptr = (unsigned char *)pattern(soap, n, seed);
	b.__size = n;
	if (part) b.type = "application/octet-stream"; /* a part of its own */
	return b;
}

static const char *sum(struct soap *soap, struct xsd__base64Binary *b) {
	unsigned h = 2166136261u;
	char *s = soap_malloc(soap, 40);
	for (int i = 0; i < b->__size; i++) h = (h ^ b->__ptr[i]) * 16777619u;
	sprintf(s, "%08x/%d", h, b->__size);
	return s;
}

static char *view(struct soap *soap, struct ns1__Document *d) {
	char *s = soap_malloc(soap, 1000 + strlen(d->title));
	int n = sprintf(s, "%s hash %s thumbnail %s content %s", d->title, sum(soap, &d->hash), sum(soap, &d->thumbnail), sum(soap, &d->content));
	for (int i = 0; i < d->__sizeappendix && i < 10; i++) n += sprintf(s + n, " appendix %s", sum(soap, &d->appendix[i]));
	return s;
}

static void document(struct soap *soap, struct ns1__Document *d, char *title, int size) {
	soap_default_ns1__Document(soap, d);
	d->title = title;
	d->hash = content(soap, 3000, 1, 0);
	d->thumbnail = content(soap, 10, 2, 0);
	d->content = content(soap, size, 3, 1);
	d->__sizeappendix = 2;
	d->appendix = soap_malloc(soap, 2 * sizeof *d->appendix);
	d->appendix[0] = content(soap, 20, 4, 1);
	d->appendix[1] = content(soap, 70000, 5, 1);
}

int __ns1__Store(struct soap *soap, struct ns1__Document *in, struct ns1__Document *out) {
	char *seen = view(soap, in), *title = soap_malloc(soap, strlen(seen) + 10);
	sprintf(title, "seen: %s", seen);
	document(soap, out, title, 100000);
	return SOAP_OK;
}

/* Attachments of the WSDL are left to the program by gSOAP. */
int __ns1__Label(struct soap *soap, struct _ns1__Label *in, struct __ns1__LabelResponse *out) { return SOAP_NO_METHOD; }

int main(int argc, char **argv) {
	struct soap *soap = soap_new1(SOAP_ENC_MTOM | SOAP_C_UTFSTRING);
	soap->send_timeout = soap->recv_timeout = 10;
	if (argc >= 3 && !strcmp(argv[1], "call")) {
		struct ns1__Document in, out;
		char password[100] = "";
		if (argc > 3) { /* Basic, which it sends before it is asked */
			if (!fgets(password, sizeof password, stdin)) return 1;
			password[strcspn(password, "\n")] = 0;
			soap->userid = argv[3];
			soap->passwd = password;
		}
		document(soap, &in, "from gsoap", 200000);
		if (soap_call___ns1__Store(soap, argv[2], NULL, &in, &out)) {
			soap_print_fault(soap, stderr);
			return 1;
		}
		printf("stored %s\n", view(soap, &out));
		return 0;
	}
	soap->bind_flags = SO_REUSEADDR;
	if (!soap_valid_socket(soap_bind(soap, "127.0.0.1", atoi(argv[2]), 10))) {
		soap_print_fault(soap, stderr);
		return 1;
	}
	for (;;) {
		struct pollfd fds[2] = {{0, POLLIN, 0}, {soap->master, POLLIN, 0}};
		if (poll(fds, 2, -1) < 0 || fds[0].revents) return 0;
		if (!soap_valid_socket(soap_accept(soap))) return 1;
		if (soap_serve(soap)) soap_print_fault(soap, stderr);
		soap_destroy(soap);
		soap_end(soap);
	}
}
