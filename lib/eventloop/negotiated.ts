import type { UserProperties, QoS } from './messages.js';

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
  readonly wildcardSubscriptionAvailable: boolean;
  readonly sharedSubscriptionAvailable: boolean;
  readonly subscriptionIdentifiersAvailable: boolean;
  readonly responseInformation: string | undefined;
  readonly serverReference: string | undefined;
  readonly userProperties: UserProperties | undefined;
}
