import type { Packet } from 'mqtt-packet';
import type { PacketName, ReceivedPacket } from './packets.js';

/** What the broker granted in its CONNACK. @internal */
export interface Granted {
  readonly sessionPresent: boolean;
  readonly receiveMaximum: number;
  readonly maximumPacketSize: number;
  readonly maximumQos: number;
  readonly topicAliasMaximum: number;
  readonly retainAvailable: boolean;
  readonly wildcardSubscriptionAvailable: boolean;
  readonly sharedSubscriptionAvailable: boolean;
  readonly subscriptionIdentifiersAvailable: boolean;
}

/** Takes a broken rule and what broke it. @internal */
export type ReportViolation = (rule: string, problem: string) => void;

/** The specification's defaults for what a CONNACK does not mention. @internal */
export function grantedBy(packet: Extract<Packet, { cmd: 'connack' }>): Granted {
  const properties = packet.properties ?? {};
  return {
    sessionPresent: packet.sessionPresent,
    receiveMaximum: properties.receiveMaximum ?? 65_535,
    maximumPacketSize: properties.maximumPacketSize ?? Number.POSITIVE_INFINITY,
    maximumQos: properties.maximumQoS ?? 2,
    topicAliasMaximum: properties.topicAliasMaximum ?? 0,
    retainAvailable: properties.retainAvailable ?? true,
    wildcardSubscriptionAvailable: properties.wildcardSubscriptionAvailable ?? true,
    sharedSubscriptionAvailable: properties.sharedSubscriptionAvailable ?? true,
    subscriptionIdentifiersAvailable: properties.subscriptionIdentifiersAvailable ?? true,
  };
}

const ACKNOWLEDGEMENT = ['reasonString', 'userProperties'];
const MESSAGE = ['payloadFormatIndicator', 'messageExpiryInterval', 'contentType', 'responseTopic', 'correlationData'];
const AUTHENTICATION = ['authenticationMethod', 'authenticationData'];

/** Properties that a client may send, per packet. */
const ALLOWED_PROPERTIES: Partial<Record<PacketName, readonly string[]>> = {
  connect: [
    'sessionExpiryInterval',
    'receiveMaximum',
    'maximumPacketSize',
    'topicAliasMaximum',
    'requestResponseInformation',
    'requestProblemInformation',
    'userProperties',
    ...AUTHENTICATION,
  ],
  publish: [...MESSAGE, 'topicAlias', 'userProperties'],
  puback: ACKNOWLEDGEMENT,
  pubrec: ACKNOWLEDGEMENT,
  pubrel: ACKNOWLEDGEMENT,
  pubcomp: ACKNOWLEDGEMENT,
  subscribe: ['subscriptionIdentifier', 'userProperties'],
  unsubscribe: ['userProperties'],
  disconnect: ['sessionExpiryInterval', ...ACKNOWLEDGEMENT],
  auth: [...AUTHENTICATION, ...ACKNOWLEDGEMENT],
};

/** MQTT 5: each property belongs to the packet, occurs once and is in range. @internal */
export function checkProperties(packet: ReceivedPacket, report: ReportViolation): void {
  check(packet.cmd, 'properties' in packet ? packet.properties : undefined, ALLOWED_PROPERTIES[packet.cmd]);
  if (packet.cmd === 'connect' && packet.will) {
    check('will', packet.will.properties, [...MESSAGE, 'willDelayInterval', 'userProperties']);
  }

  function check(owner: string, properties: object | undefined, allowed: readonly string[] = []): void {
    for (const [name, value] of Object.entries(properties ?? {})) {
      if (!allowed.includes(name)) report('properties', `a client may not send ${name} in ${owner.toUpperCase()}`);
      if (Array.isArray(value)) report('properties', `${name} occurs more than once`);
      const zeroIsIllegal = ['receiveMaximum', 'maximumPacketSize', 'topicAlias', 'subscriptionIdentifier'];
      if (value === 0 && zeroIsIllegal.includes(name)) report('properties', `${name} is 0`);
    }
  }
}

/** @internal */
export function checkTopicName(topic: string, report: ReportViolation): void {
  if (/[+#]/.test(topic)) report('MQTT-3.3.2-2', `topic name "${topic}" holds a wildcard`);
  if (topic.includes('\0')) report('MQTT-4.7.3-2', 'the topic name holds U+0000');
}

/** @internal */
export function checkSubscribe(packet: ReceivedPacket<'subscribe'>, granted: Granted, report: ReportViolation): void {
  if (packet.subscriptions.length === 0) report('MQTT-3.8.3-2', 'a SUBSCRIBE needs at least one filter');
  for (const { topic, nl } of packet.subscriptions) {
    const shared = checkTopicFilter(topic, granted, report);
    if (shared && nl) report('MQTT-3.8.3-4', `No Local on the shared subscription "${topic}"`);
  }
  if (packet.properties?.subscriptionIdentifier !== undefined && !granted.subscriptionIdentifiersAvailable) {
    report('limits', 'a subscription identifier, which the server does not support');
  }
}

/** @internal */
export function checkUnsubscribe(
  packet: ReceivedPacket<'unsubscribe'>,
  granted: Granted,
  report: ReportViolation,
): void {
  if (packet.unsubscriptions.length === 0) report('MQTT-3.10.3-2', 'an UNSUBSCRIBE needs at least one filter');
  for (const topic of packet.unsubscriptions) checkTopicFilter(topic, granted, report);
}

/** @returns whether it is a shared subscription. */
function checkTopicFilter(filter: string, granted: Granted, report: ReportViolation): boolean {
  const levels = filter.split('/');
  const shared = levels[0] === '$share';
  if (filter === '') report('MQTT-4.7.3-1', 'an empty topic filter');
  if (filter.includes('\0')) report('MQTT-4.7.3-2', 'the topic filter holds U+0000');
  if (levels.some((level, index) => level.includes('#') && (level !== '#' || index < levels.length - 1))) {
    report('MQTT-4.7.1-1', `misplaced # in "${filter}"`);
  }
  if (levels.some((level) => level.includes('+') && level !== '+')) {
    report('MQTT-4.7.1-2', `misplaced + in "${filter}"`);
  }
  if (shared) {
    const [, name = '', ...rest] = levels;
    if (name === '' || /[+#]/.test(name)) report('MQTT-4.8.2-1', `"${filter}" has no valid share name`);
    if (rest.join('/') === '') report('MQTT-4.8.2-2', `"${filter}" has no topic filter after the share name`);
    if (!granted.sharedSubscriptionAvailable)
      report('limits', 'a shared subscription, which the server does not support');
  }
  if (/[+#]/.test(filter) && !granted.wildcardSubscriptionAvailable) {
    report('limits', `wildcards in "${filter}", which the server does not support`);
  }
  return shared;
}
