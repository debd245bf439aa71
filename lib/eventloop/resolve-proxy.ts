import { credentialsProblem } from './credentials/resolve-credentials.js';
import type { Credentials } from './credentials/credentials.js';
import { OptionChecks } from './option-checks.js';
import type { EventLoopOptions, Server } from './options.js';
import type { ResolvedTls } from './network/resolved-tls.js';
import { resolveGivenTls } from './resolve-tls.js';
import { hidden } from './hidden.js';
import { NoProxy } from './network/no-proxy.js';
import {
  inProxyTerms,
  type Proxies,
  type Proxy,
  type ProxyOptions,
  type ProxySettings,
} from './network/proxy-options.js';
import { headersProblem } from './network/proxy-request.js';

const DEFAULT_PORTS = { http: 80, https: 443 } as const;
const EXPECTED_URL = 'http:// or https://, host and optional port, user information optional';

/** As given, with what is secret out of sight. */
interface Settings extends Pick<Proxy, 'credentials' | 'headers'> {
  readonly tls: ResolvedTls;
}
type Environment = Readonly<Record<string, string | undefined>>;

/** Checks the `proxy` option; reads the environment when it says so. @internal */
export function resolveProxy(
  { proxy: option, connect }: EventLoopOptions,
  servers: readonly Server[],
  checks: OptionChecks,
): Proxies | undefined {
  if (option === undefined) return undefined;
  if (typeof option !== 'object' || (option as unknown) === null) {
    checks.report('proxy', option === null ? null : '…', '{ url } or { fromEnvironment: true }');
    return undefined;
  }
  checks.unknownKeys('proxy.', option, ['url', 'fromEnvironment', 'credentials', 'headers', 'tls']);
  const given: ProxyOptions = option;
  if (connect !== undefined)
    checks.report('proxy', '…', 'no proxy beside the connect hook, which opens the connection itself');
  const settings = resolveSettings(given, checks);
  if (checks.boolean('proxy.fromEnvironment', given.fromEnvironment, false)) {
    if (given.url !== undefined)
      checks.report('proxy.url', '…', 'nothing beside proxy.fromEnvironment: one of them decides');
    return proxiesOfEnvironment(process.env, settings, checks);
  }
  if (servers.some(({ scheme }) => scheme === 'unix'))
    checks.report('proxy', '…', 'no proxy for unix: URLs, which are on this computer');
  if (given.tls !== undefined && typeof given.url === 'string' && /^http:/i.test(given.url))
    checks.report('proxy.tls', '…', 'an https: proxy.url: no other one uses TLS');
  const proxy = parseProxyUrl('proxy.url', given.url, settings, checks);
  return Object.freeze({ secure: proxy, plain: proxy, except: undefined });
}

function proxiesOfEnvironment(environment: Environment, settings: Settings, checks: OptionChecks): Proxies {
  // Lower case is the older form, and wins everywhere.
  const read = (name: string): string | undefined => environment[name.toLowerCase()] || environment[name] || undefined;
  const proxyOf = (name: string): Proxy | undefined => {
    const [variable, url] = read(name) === undefined ? ['ALL_PROXY', read('ALL_PROXY')] : [name, read(name)];
    if (url === undefined) return undefined;
    const named = url.includes('://') ? url : `http://${url}`;
    return parseProxyUrl(`proxy (${variable} of the environment)`, named, settings, checks);
  };
  const except = new NoProxy(read('NO_PROXY') ?? '');
  return Object.freeze({ secure: proxyOf('HTTPS_PROXY'), plain: proxyOf('HTTP_PROXY'), except });
}

function resolveSettings({ credentials, headers, tls }: ProxySettings, checks: OptionChecks): Settings {
  if (credentials !== undefined && typeof credentials !== 'function') {
    const problem = credentialsProblem(credentials) ?? colonProblem(credentials);
    if (problem !== undefined)
      checks.report('proxy.credentials', '…', `{ username, password } or a function that returns them, not ${problem}`);
  }
  if (headers !== undefined && typeof headers !== 'function') {
    const problem = headersProblem(headers);
    if (problem !== undefined)
      checks.report('proxy.headers', '…', `an object of headers or a function that returns one, not ${problem}`);
    else if (
      credentials !== undefined &&
      Object.keys(headers).some((name) => name.toLowerCase() === 'proxy-authorization')
    )
      checks.report('proxy.headers', '…', 'no Proxy-Authorization beside proxy.credentials');
  }
  return {
    credentials: typeof credentials === 'function' ? credentials : credentials && hidden(credentials),
    headers: headerProvider(headers),
    tls: resolveProxyTls(tls, checks),
  };
}

function resolveProxyTls(tls: unknown, checks: OptionChecks): ResolvedTls {
  const own = new OptionChecks();
  const isObject = typeof tls === 'object' && tls !== null;
  if (tls !== undefined && !isObject) own.report('tls', typeof tls, 'an object');
  const resolved = resolveGivenTls(isObject ? tls : {}, own);
  for (const { option, value, expected } of own.issues)
    checks.issues.push({ option: `proxy.${option}`, value, expected: inProxyTerms(expected) });
  return resolved;
}

/** A function shows nothing of what it returns. */
function headerProvider(headers: ProxySettings['headers']): Settings['headers'] {
  if (headers === undefined || typeof headers === 'function') return headers;
  const copy = { ...headers };
  return () => copy;
}

function parseProxyUrl(option: string, url: unknown, settings: Settings, checks: OptionChecks): Proxy | undefined {
  const parsed = typeof url === 'string' && URL.canParse(url) ? new URL(url) : undefined;
  const scheme = parsed?.protocol.slice(0, -1);
  if (parsed === undefined || (scheme !== 'http' && scheme !== 'https')) {
    const socks = scheme?.startsWith('socks') === true ? '; for SOCKS use the connect hook (docs/proxy.md)' : '';
    checks.report(option, scheme === undefined ? '…' : `${scheme}://…`, `${EXPECTED_URL}${socks}`);
    return undefined;
  }
  if (parsed.pathname !== '/' || parsed.search !== '' || parsed.hash !== '')
    checks.report(option, `${parsed.origin}/…`, `${EXPECTED_URL}, and nothing behind it`);
  const port = parsed.port === '' ? DEFAULT_PORTS[scheme] : Number(parsed.port);
  const { credentials = userInformation(option, parsed, checks), headers } = settings;
  return Object.freeze({
    scheme,
    // An IPv6 address stands in brackets in a URL and without them elsewhere.
    host: parsed.hostname.replace(/^\[(.*)\]$/, '$1'),
    port,
    label: `${scheme}://${parsed.hostname}:${port}`,
    credentials,
    headers,
    tls: scheme === 'https' ? settings.tls : undefined,
  });
}

function userInformation(option: string, { username, password }: URL, checks: OptionChecks): Credentials | undefined {
  if (username === '' && password === '') return undefined;
  try {
    const credentials = { username: decodeURIComponent(username), password: decodeURIComponent(password) };
    const problem = colonProblem(credentials);
    if (problem !== undefined) checks.report(option, '…', `user information, not ${problem}`);
    return hidden(credentials);
  } catch {
    checks.report(option, '…', 'percent-encoded user information');
    return undefined;
  }
}

function colonProblem({ username }: Credentials): string | undefined {
  return username?.includes(':') === true
    ? 'a user name with a colon, which Basic authentication cannot express'
    : undefined;
}
