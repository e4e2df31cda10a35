// A certified OpenID provider (oidc-provider) over https on loopback, as the token endpoint of the stories of `oauth2`.
//
//   node oidc_provider.mjs NPM_FOLDER PORT CERT KEY CLIENTS_JSON
//
// CLIENTS_JSON is the list of clients as oidc-provider takes it. Refresh tokens are rotated and reuse is noticed, but
// for clients whose id begins with `lenient`. Beside the provider, for the test alone:
//
//   POST /control/refresh-token?client=ID   a refresh token of the account `anna` for this client
//   POST /control/hold, /control/release    answers of the token endpoint are kept back after they took effect
//   POST /control/spoil?fields=JSON         these fields of what the token endpoint grants are replaced; {} ends it
//   GET  /control/held                      how many are kept back
//   GET  /control/granted                   how many tokens were granted so far

import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [npm, port, cert, key, clients] = process.argv.slice(2);
const library = path.join(npm, 'node_modules/oidc-provider/lib/index.js');
const { Provider } = await import(pathToFileURL(library).href);

const issuer = `https://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
  clients: JSON.parse(clients),
  scopes: ['openid', 'offline_access', 'models.read', 'models.write', 'models.admin'],
  features: {
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    devInteractions: { enabled: false },
  },
  ttl: { AccessToken: 900, ClientCredentials: 600, RefreshToken: 86400, Grant: 86400 },
  rotateRefreshToken: (ctx) => !ctx.oidc.client.clientId.startsWith('lenient'),
  findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
});

let holding = false;
let spoiled = {};
let granted = 0;
let waiting = [];

async function refreshToken(clientId) {
  const client = await provider.Client.find(clientId);
  const scope = 'openid offline_access models.read models.write';
  const grant = new provider.Grant({ accountId: 'anna', clientId });
  grant.addOIDCScope(scope);
  const token = new provider.RefreshToken({
    accountId: 'anna', client, grantId: await grant.save(), gty: 'authorization_code', scope, claims: {}, resource: undefined,
  });
  return token.save();
}

async function control(ctx) {
  switch (ctx.path) {
    case '/control/refresh-token': return { token: await refreshToken(ctx.query.client) };
    case '/control/hold': holding = true; return {};
    case '/control/release': {
      holding = false;
      waiting.forEach((go) => go());
      waiting = [];
      return {};
    }
    case '/control/spoil': spoiled = JSON.parse(ctx.query.fields); return {};
    case '/control/held': return { count: waiting.length };
    case '/control/granted': return { count: granted };
    default: return undefined;
  }
}

provider.use(async (ctx, next) => {
  if (ctx.path.startsWith('/control/')) {
    ctx.body = await control(ctx);
    return;
  }
  await next();
  if (ctx.path !== '/token') return;
  if (ctx.status === 200) {
    granted += 1;
    ctx.body = { ...ctx.body, ...spoiled };
  }
  if (holding) await new Promise((go) => { waiting.push(go); });
});

const files = { cert: fs.readFileSync(cert), key: fs.readFileSync(key) };
https.createServer(files, provider.callback()).listen(Number(port), '127.0.0.1', () => console.log('ready'));
