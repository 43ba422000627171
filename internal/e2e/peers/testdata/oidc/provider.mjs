// The OpenID Connect provider of the tests. Its first argument is the directory of
// the packages, its second one the configuration. Each event is a line of JSON.
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

const require = createRequire(pathToFileURL(join(process.argv[2], 'package.json')))
const { Provider } = await import(pathToFileURL(require.resolve('oidc-provider')))
const config = JSON.parse(process.argv[3])

const key = (type, options, more) => ({ // without kid, which is the key's hash then
	...generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }), use: 'sig', ...more,
})

// Each of them signs in with any password.
const claimsOf = (sub) => {
	const u = config.users[sub]
	return u && { sub, ...u }
}

const provider = new Provider(config.issuer, {
	clients: [
		{
			client_id: config.web, client_secret: config.secret,
			redirect_uris: config.redirects, post_logout_redirect_uris: config.logoutRedirects,
			grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'],
			...(config.backchannel && { backchannel_logout_uri: config.backchannel, backchannel_logout_session_required: true }),
		},
		{
			client_id: config.desktop, application_type: 'native', token_endpoint_auth_method: 'none',
			redirect_uris: ['http://127.0.0.1/callback', 'http://127.0.0.1/', 'http://[::1]/callback', 'http://[::1]/'],
			grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
			response_types: ['code'],
		},
	],
	jwks: { keys: [key('rsa', { modulusLength: 2048 }, { alg: 'RS256' }), key('ec', { namedCurve: 'P-256' }, { alg: 'ES256' })] },
	fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options), // its own refuses this machine
	cookies: { keys: [randomBytes(16).toString('hex')] },
	findAccount: (ctx, sub) => claimsOf(sub) && { accountId: sub, claims: () => claimsOf(sub) },
	claims: {
		openid: ['sub'], email: ['email', 'email_verified'], profile: ['name', 'preferred_username', 'groups'], phone: ['phone_number'],
	},
	conformIdTokenClaims: false, // the ID token has them, as those of most providers
	scopes: ['openid', 'offline_access', 'api'],
	pkce: { required: () => true },
	rotateRefreshToken: true,
	issueRefreshToken: (ctx, client) => client.grantTypeAllowed('refresh_token'),
	extraTokenClaims: (ctx, token) => token.accountId && (({ sub, ...rest }) => rest)(claimsOf(token.accountId) ?? {}),
	features: {
		devInteractions: { enabled: true },
		deviceFlow: { enabled: true },
		backchannelLogout: { enabled: true },
		rpInitiatedLogout: { enabled: true },
		revocation: { enabled: true },
		resourceIndicators: {
			enabled: true,
			defaultResource: () => undefined,
			useGrantedResource: () => true,
			getResourceServerInfo: (ctx, resource) => ({
				scope: 'api', audience: resource, accessTokenFormat: 'jwt', accessTokenTTL: config.ttl, jwt: { sign: { alg: 'RS256' } },
			}),
		},
	},
	ttl: {
		AccessToken: config.ttl, AuthorizationCode: 60, IdToken: 3600, DeviceCode: 600, RefreshToken: 86400, Session: 86400, Grant: 86400, Interaction: 3600,
	},
})
provider.proxy = true

const emit = (event, more) => process.stdout.write('EVENT ' + JSON.stringify({ event, ...more }) + '\n')
const named = (ctx) => ({
	client: ctx?.oidc?.client?.clientId, sub: ctx?.oidc?.account?.accountId ?? ctx?.oidc?.session?.accountId,
	grant: ctx?.oidc?.params?.grant_type,
})
for (const event of ['authorization.success', 'grant.success', 'grant.revoked', 'end_session.success']) {
	provider.on(event, (ctx) => emit(event, named(ctx)))
}
for (const event of ['authorization.error', 'grant.error', 'end_session.error', 'discovery.error', 'server_error']) {
	provider.on(event, (ctx, err) => emit(event, { ...named(ctx), error: String(err?.error_description ?? err?.message) }))
}
provider.on('backchannel.success', (ctx, client, sub) => emit('backchannel.success', { client: client.clientId, sub }))
provider.on('backchannel.error', (ctx, err, client, sub) => emit('backchannel.error', { client: client.clientId, sub, error: [err.message, err.cause?.message].filter(Boolean).join(': ') }))

// It ends with the test, whose end closes its input.
process.stdin.on('end', () => process.exit(0)).resume()
provider.listen(config.port, '127.0.0.1')
