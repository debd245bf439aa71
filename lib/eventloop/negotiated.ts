import type { ProtocolVersion } from './codec/packet-types.js';
import type { Connack } from './connection.js';
import type { UserProperties, QoS } from './messages.js';
import type { ResolvedOptions } from './options.js';
import { RESERVED_IDS } from './session/packet-ids.js';

/** What holds on the present connection: options, CONNECT and CONNACK put together. Frozen. @publicApi */
export interface Negotiated {
  readonly protocolVersion: 4 | 5;
  /** Without credentials. */
  readonly server: string;
  /** The broker's assigned identifier where it assigned one. */
  readonly clientId: string;
  readonly sessionPresent: boolean;
  readonly sessionExpirySeconds: number;
  /** The server's value where it sent one; 0 = off. */
  readonly keepAliveSeconds: number;
  /** Unacknowledged QoS 1/2 publishes: the smaller of `inflight` and the server's Receive Maximum. */
  readonly inflight: number;
  readonly maximumQos: QoS;
  readonly retainAvailable: boolean;
  /** Whole packet towards the server. */
  readonly maxPacketBytes: number;
  /** Topic aliases in use towards the server: the smaller of `topicAliases` and the server's Topic Alias Maximum. */
  readonly topicAliases: number;
  readonly wildcardSubscriptionAvailable: boolean;
  readonly sharedSubscriptionAvailable: boolean;
  readonly subscriptionIdentifiersAvailable: boolean;
  readonly responseInformation: string | undefined;
  readonly serverReference: string | undefined;
  readonly userProperties: UserProperties | undefined;
}

const MOST_INFLIGHT = 65_535 - RESERVED_IDS;

/** @internal */
export function negotiate(
  options: ResolvedOptions,
  protocolVersion: ProtocolVersion,
  server: string,
  clientId: string,
  { sessionPresent, properties }: Connack,
): Negotiated {
  return Object.freeze({
    protocolVersion,
    server,
    clientId: properties.assignedClientIdentifier || clientId,
    sessionPresent,
    sessionExpirySeconds: protocolVersion === 5 ? (properties.sessionExpirySeconds ?? options.sessionExpirySeconds) : 0,
    keepAliveSeconds: properties.serverKeepAliveSeconds ?? options.keepAliveSeconds,
    inflight: Math.min(options.inflight, properties.receiveMaximum ?? MOST_INFLIGHT, MOST_INFLIGHT),
    maximumQos: properties.maximumQos ?? 2,
    retainAvailable: properties.retainAvailable ?? true,
    maxPacketBytes: Math.min(options.maxPacketBytes, properties.maximumPacketBytes ?? options.maxPacketBytes),
    topicAliases: Math.min(options.topicAliases, properties.topicAliasMaximum ?? 0),
    wildcardSubscriptionAvailable: properties.wildcardSubscriptionAvailable ?? true,
    sharedSubscriptionAvailable: properties.sharedSubscriptionAvailable ?? true,
    subscriptionIdentifiersAvailable: protocolVersion === 5 && (properties.subscriptionIdentifiersAvailable ?? true),
    responseInformation: properties.responseInformation,
    serverReference: properties.serverReference,
    userProperties: properties.userProperties,
  });
}
