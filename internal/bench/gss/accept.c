/*
 * accept says how long gss_accept_sec_context takes, for
 * BenchmarkAcceptBesideMIT.
 *
 * Standard input is any number of rounds: a number of tokens, then each token
 * after its length; numbers are 32 bits, big-endian. For each round it accepts
 * all tokens one after the other and writes a line: nanoseconds on the clock,
 * nanoseconds of the processor, and how many tokens it accepted. The keytab and
 * the replay cache are chosen by the environment (KRB5_KTNAME, KRB5RCACHENAME).
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <gssapi/gssapi.h>

static void fail(const char *what, OM_uint32 major, OM_uint32 minor)
{
	fprintf(stderr, "accept: %s: major %#x, minor %u\n", what, (unsigned)major, (unsigned)minor);
	exit(1);
}

static int read_number(OM_uint32 *n)
{
	unsigned char b[4];

	if (fread(b, 1, sizeof b, stdin) != sizeof b)
		return 0;
	*n = (OM_uint32)b[0] << 24 | (OM_uint32)b[1] << 16 | (OM_uint32)b[2] << 8 | b[3];
	return 1;
}

static long long nanoseconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (long long)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* accept_one takes a token, and does with the caller what a server would: it
 * asks for the name and for the answer. */
static void accept_one(gss_cred_id_t cred, gss_buffer_t token)
{
	OM_uint32 major, minor, flags, ignored;
	gss_ctx_id_t context = GSS_C_NO_CONTEXT;
	gss_name_t client = GSS_C_NO_NAME;
	gss_buffer_desc reply = GSS_C_EMPTY_BUFFER;

	major = gss_accept_sec_context(&minor, &context, cred, token, GSS_C_NO_CHANNEL_BINDINGS, &client, NULL, &reply,
				       &flags, NULL, NULL);
	if (major != GSS_S_COMPLETE)
		fail("gss_accept_sec_context", major, minor);
	if (reply.length == 0 || !(flags & GSS_C_MUTUAL_FLAG) || client == GSS_C_NO_NAME)
		fail("context without mutual authentication or name", major, minor);
	gss_release_buffer(&ignored, &reply);
	gss_release_name(&ignored, &client);
	gss_delete_sec_context(&ignored, &context, GSS_C_NO_BUFFER);
}

static gss_buffer_desc *read_round(OM_uint32 n)
{
	gss_buffer_desc *tokens = calloc(n, sizeof *tokens);

	for (OM_uint32 i = 0; tokens && i < n; i++) {
		OM_uint32 length;

		if (!read_number(&length) || length > 1 << 20 || !(tokens[i].value = malloc(length)) ||
		    fread(tokens[i].value, 1, length, stdin) != length)
			fail("read token", 0, 0);
		tokens[i].length = length;
	}
	return tokens;
}

int main(void)
{
	OM_uint32 major, minor, n;
	gss_cred_id_t cred;

	major = gss_acquire_cred(&minor, GSS_C_NO_NAME, GSS_C_INDEFINITE, GSS_C_NO_OID_SET, GSS_C_ACCEPT, &cred, NULL,
				 NULL);
	if (major != GSS_S_COMPLETE)
		fail("gss_acquire_cred", major, minor);
	while (read_number(&n)) {
		gss_buffer_desc *tokens;
		long long clock, processor;

		if (n == 0 || n > 1 << 20 || !(tokens = read_round(n)))
			fail("read round", 0, n);
		clock = nanoseconds(CLOCK_MONOTONIC);
		processor = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
		for (OM_uint32 i = 0; i < n; i++)
			accept_one(cred, &tokens[i]);
		processor = nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - processor;
		clock = nanoseconds(CLOCK_MONOTONIC) - clock;
		printf("%lld %lld %u\n", clock, processor, (unsigned)n);
		fflush(stdout);
		for (OM_uint32 i = 0; i < n; i++)
			free(tokens[i].value);
		free(tokens);
	}
	return 0;
}
