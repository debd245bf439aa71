import { createRequire } from 'node:module';
import { hidden } from './hidden.js';
import type { WebSocketOptions } from './network/network-options.js';
import { headersProblem } from './network/websocket-request.js';
import type { OptionChecks } from './option-checks.js';
import type { Server } from './options.js';

/** Checks the `webSocket` option, and that the optional peer is there when a url needs it. @internal */
export function resolveWebSocket(
  webSocket: WebSocketOptions | undefined,
  servers: readonly Server[],
  checks: OptionChecks,
): WebSocketOptions | undefined {
  const needing = servers.find(({ scheme }) => scheme === 'ws' || scheme === 'wss');
  if (needing !== undefined && !isInstalled('ws'))
    checks.report('url', needing.label, 'the package ws beside this one for ws: and wss:; run npm install ws');
  if (webSocket === undefined) return undefined;
  if (typeof webSocket !== 'object' || webSocket === null) {
    checks.report('webSocket', typeof webSocket, '{ headers?, url? }');
    return undefined;
  }
  if (servers.length > 0 && needing === undefined)
    checks.report('webSocket', '…', 'a ws: or wss: url: no other one uses WebSocket');
  checks.unknownKeys('webSocket.', webSocket, ['headers', 'url']);
  const { headers, url } = webSocket;
  const problem = headers === undefined || typeof headers === 'function' ? undefined : headersProblem(headers);
  if (problem !== undefined) checks.report('webSocket.headers', '…', `HTTP headers, not ${problem}`);
  checks.callback('webSocket.url', url);
  return hidden({ headers: typeof headers === 'object' ? hidden({ ...headers }) : headers, url });
}

function isInstalled(name: string): boolean {
  try {
    createRequire(import.meta.url).resolve(name);
    return true;
  } catch {
    return false;
  }
}
