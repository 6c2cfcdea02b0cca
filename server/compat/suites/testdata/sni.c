/* slowhttptest sends no server name, without which the https listener shakes no hands. Preloaded, this adds one. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>

extern long SSL_ctrl(void *ssl, int cmd, long larg, void *parg);

void *SSL_new(void *ctx)
{
	void *(*next)(void *) = (void *(*)(void *))dlsym(RTLD_NEXT, "SSL_new");
	void *ssl = next(ctx);

	if (ssl != NULL)
		SSL_ctrl(ssl, 55 /* SSL_CTRL_SET_TLSEXT_HOSTNAME */, 0, getenv("SNI"));
	return ssl;
}
