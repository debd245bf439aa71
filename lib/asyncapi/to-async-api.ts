import { getMqttTransportId } from '../mqtt.constants.js';
import type { MqttServer } from '../mqtt.server.js';
import type { MqttHandlerDescription } from '../routing/handler-description.js';

/** The `info` of the document. @publicApi */
export interface AsyncApiInfo {
  readonly title: string;
  readonly version: string;
  readonly description?: string | undefined;
}

/** An AsyncAPI 3.0 document. @publicApi */
export interface AsyncApiDocument {
  readonly asyncapi: '3.0.0';
  readonly info: AsyncApiInfo;
  readonly channels: Readonly<Record<string, object>>;
  readonly operations: Readonly<Record<string, object>>;
}

/**
 * An AsyncAPI 3.0 document of the handlers of an application: a channel for each filter, an operation for each handler. Handlers
 * are registered by `app.connectMicroservice()`; no connection is needed. Servers are not known here: spread the document and add them.
 *
 * @publicApi
 */
export function toAsyncApi(servers: MqttServer | readonly MqttServer[], info: AsyncApiInfo): AsyncApiDocument {
  const names = new Names();
  const channels: Record<string, Channel> = {};
  const operations: Record<string, object> = {};
  const channelOf = new Map<string, string>();
  for (const server of Array.isArray(servers) ? (servers as readonly MqttServer[]) : [servers as MqttServer]) {
    const prefix = prefixOf(server);
    for (const handler of server.describeHandlers()) {
      const address = addressOf(handler);
      let channel = channelOf.get(prefix + address);
      if (channel === undefined) {
        channel = names.next(prefix + address);
        channelOf.set(prefix + address, channel);
        channels[channel] = channelObject(handler, address);
      }
      const operation = names.next(`${prefix}${handler.kind}-${address}`);
      // What has a schema is a message of its own: handlers of one channel may understand different ones.
      const message = handler.payloadSchema === undefined ? 'message' : operation;
      channels[channel]!.messages[message] ??= messageObject(handler);
      operations[operation] = operationObject(handler, channel, message);
    }
  }
  return { asyncapi: '3.0.0', info, channels, operations };
}

interface Channel {
  readonly address: string;
  readonly messages: Record<string, object>;
}

function channelObject(handler: MqttHandlerDescription, address: string): Channel {
  const parameters = Object.fromEntries(parametersOf(handler).map((name) => [name, {}]));
  return { address, messages: {}, ...(Object.keys(parameters).length === 0 ? {} : { parameters }) };
}

function messageObject({ contentType, payloadSchema }: MqttHandlerDescription): object {
  return {
    ...(contentType === undefined ? {} : { contentType }),
    ...(payloadSchema === undefined ? {} : { payload: payloadSchema }),
  };
}

function operationObject(
  { payloadSchema: _, ...handler }: MqttHandlerDescription,
  channel: string,
  message: string,
): object {
  return {
    action: 'receive',
    channel: { $ref: `#/channels/${channel}` },
    messages: [{ $ref: `#/channels/${channel}/messages/${message}` }],
    bindings: { mqtt: { qos: handler.qos } },
    ...(handler.kind === 'message' ? { reply: { address: { location: '$message.header#/responseTopic' } } } : {}),
    'x-nestjs-rumqtt': { ...handler, parameters: parametersOf(handler) },
  };
}

/** `plants/+plant/#rest` as `plants/{plant}/{rest}`; wildcards without a name are called by their position. */
function addressOf(handler: MqttHandlerDescription): string {
  const names = parametersOf(handler);
  let index = 0;
  return handler.filter
    .split('/')
    .map((level) => (level === '+' || level === '#' ? `{${names[index++]}}` : level))
    .join('/');
}

function parametersOf({ parameters }: Pick<MqttHandlerDescription, 'parameters'>): string[] {
  return parameters.map((name, index) => name ?? `level${index}`);
}

/** Those of the registration without a name have none. */
function prefixOf(server: MqttServer): string {
  if (server.transportId === getMqttTransportId()) return '';
  const { description = '' } = server.transportId;
  return `${description.slice(description.indexOf(':') + 1)}-`;
}

/** Keys of the document: letters, digits and dashes, each once. */
class Names {
  readonly #used = new Set<string>();

  next(text: string): string {
    const base = text.replaceAll(/[^A-Za-z0-9]+/g, '-').replaceAll(/^-|-$/g, '') || 'root';
    let name = base;
    for (let i = 2; this.#used.has(name); i++) name = `${base}-${i}`;
    this.#used.add(name);
    return name;
  }
}
