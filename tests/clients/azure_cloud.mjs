// Azure on loopback over https: Entra, the resource manager, and the token service of a registry.
//
//   node azure_cloud.mjs NPM_FOLDER PORT CERTIFICATE KEY FACTS
//
// FACTS is JSON: tenant, client, object, secret, certificate (PEM of the application), subscription, and registry
// {host, key, certificate, rights, url, ca}. The registry at `url` is behind /v2/ here too, because the vendor's client
// looks for its token service under the address of the registry. Entra is oidc-provider, which checks secrets and makes the tokens; what it
// does not know is checked before it: the assertion of a certificate must be RS256 by the registered certificate and
// name it by its thumbprint, be for the token endpoint, by and about the application, live for ten minutes at most,
// and be used once. An assertion of somebody else's issuer needs a federated credential, set by POST /fake/federated
// {issuer, subject, audience, ca, ahead}: found by discovery over https that `ca` vouches for, RS256 by a published key,
// for that audience and of that subject to the letter, not ended `ahead` seconds from now. /fake/heard gives the last one
// of an issuer. (MSAL pads the thumbprint, RFC 7515 does not: both are taken). The others take a token for themselves alone: signature, issuer, audience and end are checked.

import crypto from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

const [npm, port, certificate, key, factsFile] = process.argv.slice(2);
const load = (file) => import(pathToFileURL(path.join(npm, 'node_modules', file)).href);
const { Provider } = await load('oidc-provider/lib/index.js');
const jose = await load('jose/dist/webapi/index.js');

const facts = JSON.parse(fs.readFileSync(factsFile, 'utf8'));
const { tenant, client, object, secret, subscription, registry } = facts;
const home = `https://127.0.0.1:${port}`;
const issuer = `https://sts.windows.net/${tenant}/`;
const tokenEndpoint = `${home}/${tenant}/oauth2/v2.0/token`;
const MANAGEMENT = 'https://management.azure.com';
const REGISTRIES = 'https://containerregistry.azure.net';
const CLUSTERS = '6dae42f8-4368-4678-94ff-3960e28e3630';
const AUDIENCES = [MANAGEMENT, REGISTRIES, 'https://storage.azure.com', 'https://vault.azure.net', CLUSTERS];

const MACHINE = '22223333-bbbb-4444-cccc-5555dddd6666';

const application = await jose.importX509(facts.certificate, 'RS256');
const thumbprint = crypto.createHash('sha1').update(new crypto.X509Certificate(facts.certificate).raw).digest('base64url');
const own = await jose.generateKeyPair('RS256', { extractable: true });
const jwk = { ...(await jose.exportJWK(own.privateKey)), kid: 'entra', use: 'sig', alg: 'RS256' };

const provider = new Provider(issuer, {
  clients: [{
    client_id: client, client_secret: secret, grant_types: ['client_credentials'], redirect_uris: [], response_types: [],
    token_endpoint_auth_method: 'client_secret_post',
  }],
  jwks: { keys: [jwk] },
  routes: { token: '/oauth2/v2.0/token' },
  ttl: { ClientCredentials: 3600 },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_, resource) => ({
        scope: '', audience: resource, accessTokenTTL: 3600, accessTokenFormat: 'jwt', jwt: { sign: { alg: 'RS256' } },
      }),
    },
  },
  formats: {
    customizers: {
      jwt(_, token, jwt) {
        const aud = String(jwt.payload.aud).replace(/^api:\/\/clusters$/, CLUSTERS);
        Object.assign(jwt.payload, { aud, nbf: jwt.payload.iat, tid: tenant, oid: object, appid: client });
      },
    },
  },
});
const entra = provider.callback();

const seen = new Set();
async function assertionHolds(text) {
  try {
    const { payload, protectedHeader } = await jose.jwtVerify(text, application, {
      algorithms: ['RS256'], audience: tokenEndpoint, issuer: client, subject: client,
      requiredClaims: ['exp', 'iat', 'jti'],
    });
    const fresh = !seen.has(payload.jti);
    seen.add(payload.jti);
    return fresh && (protectedHeader.x5t ?? '').replace(/=+$/, '') === thumbprint && payload.exp - payload.iat <= 600;
  } catch {
    return false;
  }
}

const federated = new Map();
const heard = new Map();

function fetchJson(url, ca) {
  return new Promise((resolve, reject) => {
    https.get(url, { ca, timeout: 10_000 }, async (answer) => {
      let text = '';
      for await (const chunk of answer) text += chunk;
      try { resolve(JSON.parse(text)); } catch (error) { reject(error); }
    }).on('error', reject);
  });
}

// Entra's number for what is wrong with a federated assertion; nothing when it holds.
async function federatedProblem(text, from) {
  const trust = federated.get(from);
  if (trust === undefined) return 700211;
  heard.set(from, text);
  let payload;
  try {
    const found = await fetchJson(`${from}/.well-known/openid-configuration`, trust.ca);
    const keys = jose.createLocalJWKSet(await fetchJson(found.jwks_uri, trust.ca));
    const currentDate = new Date(Date.now() + (trust.ahead ?? 0) * 1000);
    const requiredClaims = ['exp', 'iat', 'sub', 'aud'];
    ({ payload } = await jose.jwtVerify(text, keys, { algorithms: ['RS256'], issuer: found.issuer, currentDate, requiredClaims }));
  } catch (error) {
    return error.code === 'ERR_JWT_EXPIRED' ? 700024 : 700027;
  }
  if (payload.iss !== from) return 700211;
  if (payload.aud !== trust.audience) return 700212;
  return payload.sub === trust.subject ? undefined : 700213;
}

function issuerOf(text) {
  try { return jose.decodeJwt(text).iss; } catch { return undefined; }
}

async function claimsFor(request, audience) {
  const text = (request.headers.authorization ?? '').replace(/^Bearer /, '');
  return tokenFor(text, audience);
}

async function tokenFor(text, audience) {
  try {
    const { payload } = await jose.jwtVerify(text, own.publicKey, { algorithms: ['RS256'], issuer, audience });
    return payload;
  } catch {
    return undefined;
  }
}

function entraError(response, code, error) {
  const description = `AADSTS${code}: refused. Trace ID: none`;
  return send(response, 401, { error, error_description: description, error_codes: [code] });
}

async function token(request, response, form) {
  if (form.client_assertion !== undefined) {
    const kind = form.client_assertion_type === 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';
    if (!kind || form.client_secret !== undefined) return entraError(response, 700027, 'invalid_client');
    const from = issuerOf(form.client_assertion);
    if (from !== undefined && from !== client) {
      const problem = await federatedProblem(form.client_assertion, from);
      if (problem !== undefined) return entraError(response, problem, 'invalid_client');
    } else if (!(await assertionHolds(form.client_assertion))) {
      return entraError(response, 700027, 'invalid_client');
    }
    form.client_secret = secret;
  }
  const audience = AUDIENCES.find((one) => (form.scope ?? '').replace(/\/\/?\.default$/, '') === one);
  if (audience === undefined) return entraError(response, 500011, 'invalid_resource');
  const resource = audience === CLUSTERS ? 'api://clusters' : audience;
  request.body = { grant_type: form.grant_type, client_id: form.client_id, client_secret: form.client_secret, resource };
  request.url = '/oauth2/v2.0/token';
  const end = response.end.bind(response);
  response.end = (text) => {
    if (response.statusCode === 200) return end(text);
    const said = { ...JSON.parse(text), error_codes: [7000215] };
    const body = JSON.stringify(said);
    response.setHeader('content-length', Buffer.byteLength(body));
    return end(body);
  };
  return entra(request, response);
}

const subscriptionPath = `/subscriptions/${subscription}`;
const cluster = `${subscriptionPath}/resourceGroups/ml/providers/Microsoft.ContainerService/managedClusters/train`;
const clusterHost = 'train-dns.hcp.westeurope.azmk8s.io';

function kubeconfig() {
  const base64 = (text) => Buffer.from(text).toString('base64');
  return base64([
    'apiVersion: v1', 'clusters:', '- name: train', '  cluster:', `    server: https://${clusterHost}:443`,
    `    certificate-authority-data: ${base64(facts.certificate)}`, 'users:', '- name: u', '  user:',
    `    client-key-data: ${base64('the-key-of-the-cluster-admin')}`, '',
  ].join('\n'));
}

function managed(method, url) {
  const provided = (kind) => `${subscriptionPath}/providers/${kind}`;
  switch (`${method} ${url.pathname}`) {
    case `GET ${subscriptionPath}`: return { subscriptionId: subscription };
    case `GET ${provided('Microsoft.Storage/storageAccounts')}`: return { value: [] };
    case `GET ${provided('Microsoft.ContainerRegistry/registries')}`:
      return { value: [{ properties: { loginServer: registry.host } }] };
    case `GET ${provided('Microsoft.ContainerService/managedClusters')}`:
      if (url.searchParams.get('$skiptoken') === 'second') return { value: [{ id: cluster.replace(/train$/, 'Serve') }] };
      return { value: [{ id: cluster }], nextLink: `${home}${url.pathname}?api-version=x&$skiptoken=second` };
    case `GET ${cluster}`: return { properties: { fqdn: clusterHost, aadProfile: { managed: true } } };
    case `POST ${cluster}/listClusterUserCredential`: return { kubeconfigs: [{ name: 'u', value: kubeconfig() }] };
    default: return undefined;
  }
}

// The identity of a machine, as its endpoint hands it out: to whoever says so in a header that no browser and no proxy
// sends, of this one user-assigned identity or of the machine's own, and for one audience.
async function machine(request, url) {
  const asked = (name) => url.searchParams.get(name) ?? undefined;
  const plain = request.headers.metadata === 'true' && request.headers['x-forwarded-for'] === undefined;
  const known = [undefined, MACHINE].includes(asked('client_id')) && asked('api-version') === '2018-02-01';
  const audience = AUDIENCES.find((one) => one === (asked('resource') ?? '').replace(/\/$/, ''));
  if (request.method !== 'GET' || !plain || !known || audience === undefined) return undefined;
  const jwt = new jose.SignJWT({ tid: tenant, oid: MACHINE, appid: MACHINE }).setProtectedHeader({ alg: 'RS256', kid: 'entra' });
  const end = Math.floor(Date.now() / 1000) + 3600;
  jwt.setIssuer(issuer).setAudience(audience).setIssuedAt().setNotBefore('0s').setExpirationTime(end);
  const access_token = await jwt.sign(own.privateKey);
  return { access_token, client_id: MACHINE, expires_in: '3600', expires_on: `${end}`, resource: audience, token_type: 'Bearer' };
}

const registryKey = await jose.importPKCS8(registry.key, 'RS256');
const x5c = [registry.certificate.replace(/-----[A-Z ]+-----|\s/g, '')];
async function registryToken(claims, seconds) {
  const jwt = new jose.SignJWT(claims).setProtectedHeader({ alg: 'RS256', typ: 'JWT', x5c });
  jwt.setIssuer('Azure Container Registry').setAudience(registry.host).setSubject(client).setJti(crypto.randomUUID());
  return jwt.setIssuedAt().setNotBefore('0s').setExpirationTime(`${seconds}s`).sign(registryKey);
}

async function principalOf(refreshToken) {
  try {
    const checked = { algorithms: ['RS256'], audience: registry.host, issuer: 'Azure Container Registry' };
    const key = await jose.importX509(registry.certificate, 'RS256');
    const { payload } = await jose.jwtVerify(refreshToken, key, checked);
    return payload.use === 'refresh' ? payload.sub : undefined;
  } catch {
    return undefined;
  }
}

// The registry grants what the principal may do, and no error when that is less than asked. Whoever may pull may look at
// the metadata and the catalog; whoever may delete may change the metadata.
function granted(scope) {
  const [kind, name, actions] = scope.split(':');
  if (kind === 'registry') return { type: kind, name, actions: name === 'catalog' ? ['*'] : [] };
  const own = (kind === 'repository' && registry.rights[name]) || [];
  const rights = [...own, ...(own.includes('pull') ? ['metadata_read'] : []), ...(own.includes('delete') ? ['metadata_write'] : [])];
  return { type: kind, name, actions: (actions ?? '').split(',').filter((action) => rights.includes(action)) };
}

async function registryAnswer(pathname, form) {
  if (form.service !== registry.host) return undefined;
  // The tenant may be left out, as the vendor's client does; another one is refused.
  const home = form.tenant === undefined || form.tenant === tenant;
  if (pathname === '/oauth2/exchange' && form.grant_type === 'access_token' && home) {
    const known = await tokenFor(form.access_token, [REGISTRIES, MANAGEMENT]);
    return known && { refresh_token: await registryToken({ use: 'refresh' }, 3 * 3600) };
  }
  if (pathname !== '/oauth2/token' || form.grant_type !== 'refresh_token') return undefined;
  if ((await principalOf(form.refresh_token)) === undefined) return undefined;
  return { access_token: await registryToken({ access: [granted(form.scope)] }, 4500) };
}

// What a docker login does: the refresh token as the password of the user with no name.
const NOBODY = '00000000-0000-0000-0000-000000000000';
async function loginAnswer(request, url) {
  const pair = Buffer.from((request.headers.authorization ?? '').replace(/^Basic /, ''), 'base64').toString();
  const [user, ...password] = pair.split(':');
  if (user !== NOBODY || url.searchParams.get('service') !== registry.host) return undefined;
  if ((await principalOf(password.join(':'))) === undefined) return undefined;
  return { access_token: await registryToken({ access: url.searchParams.getAll('scope').map(granted) }, 4500) };
}

// What a token of the registry allows; nothing when it is none.
async function accessOf(request) {
  try {
    const token = (request.headers.authorization ?? '').replace(/^Bearer /, '');
    const checked = { algorithms: ['RS256'], audience: registry.host, issuer: 'Azure Container Registry' };
    const { payload } = await jose.jwtVerify(token, await jose.importX509(registry.certificate, 'RS256'), checked);
    return payload.use === 'refresh' ? [] : payload.access ?? [];
  } catch {
    return [];
  }
}

// The vendor's own paths, which the open specification does not have: catalog, tags and manifests with their metadata.
const VENDORS = /^\/acr\/v1\/(?:_catalog|([a-z0-9/._-]+)\/(_tags|_manifests)(?:\/([^/]+))?)$/;
async function vendors(request, response, url) {
  const [matched, name, kind, which] = VENDORS.exec(decodeURIComponent(url.pathname)) ?? [];
  if (!matched || request.method !== 'GET') return send(response, 404, { errors: [{ code: 'NOT_FOUND' }] });
  const [type, what, action] = name ? ['repository', name, 'metadata_read'] : ['registry', 'catalog', '*'];
  const may = (await accessOf(request)).some((one) => one.type === type && one.name === what && one.actions.includes(action));
  if (!may) {
    const scope = `${type}:${what}:${action}`;
    response.setHeader('www-authenticate', `Bearer realm="${home}/oauth2/token",service="${registry.host}",scope="${scope}"`);
    return send(response, 401, { errors: [{ code: 'UNAUTHORIZED', message: 'authentication required' }] });
  }
  if (!name) return send(response, 200, { repositories: Object.keys(registry.rights).sort() });
  const all = await images(name);
  const found = which ? all.filter((one) => one[kind === '_tags' ? 'name' : 'digest'] === which) : all;
  if (!found.length) return send(response, 404, { errors: [{ code: 'NAME_UNKNOWN', message: 'not known' }] });
  const changeableAttributes = { deleteEnabled: true, writeEnabled: true, listEnabled: true, readEnabled: true };
  const times = { createdTime: new Date(0).toISOString(), lastUpdateTime: new Date(0).toISOString(), changeableAttributes };
  const tag = (one) => ({ name: one.name, digest: one.digest, signed: false, ...times });
  const manifest = (one) => ({ digest: one.digest, imageSize: one.size, architecture: 'amd64', os: 'linux', tags: [one.name], ...times });
  const [list, single, shown] = kind === '_tags' ? ['tags', 'tag', tag] : ['manifests', 'manifest', manifest];
  const body = which ? { [single]: shown(found[0]) } : { [list]: found.map(shown) };
  return send(response, 200, { registry: registry.host, imageName: name, ...body });
}

// Asked of the registry itself, by a token that only pulls.
async function images(name) {
  const token = await registryToken({ access: [{ type: 'repository', name, actions: ['pull'] }] }, 60);
  const ask = (method, path) => new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${token}`, accept: 'application/vnd.oci.image.manifest.v1+json' };
    const url = new URL(`/v2/${name}/${path}`, registry.url);
    https.request(url, { method, headers, ca: registry.ca }, async (answer) => {
      let text = '';
      for await (const chunk of answer) text += chunk;
      resolve({ status: answer.statusCode, headers: answer.headers, text });
    }).on('error', reject).end();
  });
  const listed = await ask('GET', 'tags/list');
  const tags = listed.status === 200 ? JSON.parse(listed.text).tags ?? [] : [];
  const one = async (tag) => {
    const { status, headers } = await ask('HEAD', `manifests/${tag}`);
    return status === 200 && { name: tag, digest: headers['docker-content-digest'], size: Number(headers['content-length']) };
  };
  return (await Promise.all(tags.map(one))).filter(Boolean);
}

// The registry itself, unchanged: it asks for tokens and checks them.
function forward(request, response) {
  const { method, headers } = request;
  const onward = https.request(new URL(request.url, registry.url), { method, headers, ca: registry.ca }, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  onward.on('error', () => response.writeHead(502).end());
  request.pipe(onward);
}

async function answer(request, response) {
  const url = new URL(request.url, home);
  if (url.pathname.startsWith('/v2/')) return forward(request, response);
  if (url.pathname.startsWith('/acr/')) return vendors(request, response, url);
  // As Azure's front doors do over HTTP/1.1.
  const { 'content-length': length, 'transfer-encoding': coding } = request.headers;
  if (request.method === 'POST' && length === undefined && coding === undefined) return send(response, 411, {});
  let text = '';
  for await (const chunk of request) text += chunk;
  const form = Object.fromEntries(new URLSearchParams(text));
  if (request.method === 'POST' && url.pathname === `/${tenant}/oauth2/v2.0/token`) return token(request, response, form);
  if (url.pathname === `/${tenant}/v2.0/.well-known/openid-configuration`) {
    return send(response, 200, {
      issuer: `${home}/${tenant}/v2.0`, token_endpoint: tokenEndpoint,
      authorization_endpoint: `${home}/${tenant}/oauth2/v2.0/authorize`,
    });
  }
  if (url.pathname === '/metadata/identity/oauth2/token') {
    const body = await machine(request, url);
    return body ? send(response, 200, body) : send(response, 400, { error: 'invalid_request', error_description: 'refused' });
  }
  if (url.pathname === '/fake/federated') {
    const ask = JSON.parse(text);
    federated.set(ask.issuer, ask);
    return send(response, 200, {});
  }
  if (url.pathname === '/fake/heard') return send(response, 200, { assertion: heard.get(JSON.parse(text).issuer) });
  if (url.pathname.startsWith('/subscriptions')) {
    if (!(await claimsFor(request, MANAGEMENT))) return send(response, 401, { error: { code: 'InvalidAuthenticationToken' } });
    const body = managed(request.method, url);
    return body ? send(response, 200, body) : send(response, 403, { error: { code: 'AuthorizationFailed' } });
  }
  if (url.pathname.startsWith('/oauth2/')) {
    const login = request.method === 'GET' && url.pathname === '/oauth2/token';
    const body = login ? await loginAnswer(request, url) : await registryAnswer(url.pathname, form);
    return body ? send(response, 200, body) : send(response, 401, { errors: [{ code: 'UNAUTHORIZED' }] });
  }
  return send(response, 404, {});
}

function send(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

const files = { cert: fs.readFileSync(certificate), key: fs.readFileSync(key) };
https.createServer(files, (request, response) => {
  answer(request, response).catch((error) => {
    console.error(error);
    response.writeHead(500).end();
  });
}).listen(Number(port), '127.0.0.1');
