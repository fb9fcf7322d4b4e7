// An OpenID Connect provider at HOST:PORT whose tokens say what a request for a login wants, in the
// parameter forge of its query, a JSON object:
//
//   claims  of the ID token, in place of its own; null takes one out
//   sign    "none", or a secret to sign by with HS256
//   answer  of the token endpoint: {statusCode, body}
import { createHmac } from 'node:crypto';
import { OAuth2Server } from 'oauth2-mock-server';

const [host, port] = process.argv[2].split(':');
const forgeries = new Map(); // by code
const server = new OAuth2Server();
await server.issuer.keys.generate('RS256');

server.service.on('beforeAuthorizeRedirect', ({ url }, req) => {
  forgeries.set(url.searchParams.get('code'), JSON.parse(req.query.forge ?? '{}'));
});

server.service.on('beforeTokenSigning', (token, req) => {
  for (const [name, value] of Object.entries(forgeries.get(req.body.code)?.claims ?? {})) {
    if (value === null) delete token.payload[name];
    else token.payload[name] = value;
  }
});

server.service.on('beforeResponse', (response, req) => {
  const { sign, answer } = forgeries.get(req.body.code) ?? {};
  if (sign) response.body.id_token = resign(response.body.id_token, sign);
  Object.assign(response, answer);
});

const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');

function resign(token, secret) {
  const [header, payload] = token.split('.');
  const { kid } = JSON.parse(Buffer.from(header, 'base64url'));
  if (secret === 'none') return `${encode({ alg: 'none', kid })}.${payload}.`;
  const text = `${encode({ alg: 'HS256', kid })}.${payload}`;
  return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`;
}

await server.start(Number(port), host);
server.issuer.url = `http://${host}:${port}`; // its own names the host localhost
