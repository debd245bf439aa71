import type { WritePacket } from '@nestjs/microservices';
import type { PublishOptions, PublishProperties, UserProperties } from '../eventloop/messages.js';
import type { MqttSendOperation, MqttTracing } from '../interfaces/tracing.interface.js';

/** Properties that come with what is sent: those of the caller win. */
function withUserProperties(
  properties: PublishProperties | undefined,
  userProperties: UserProperties,
): PublishProperties {
  return { ...properties, userProperties: { ...userProperties, ...properties?.userProperties } };
}

/** Publishes within a span. @internal */
export function tracedPublish<T>(
  tracing: MqttTracing,
  operation: MqttSendOperation,
  options: PublishOptions | undefined,
  publish: (options: PublishOptions) => Promise<T>,
  ended?: (result: T) => Promise<unknown>,
): Promise<T> {
  return tracing.send(
    operation,
    (userProperties) => publish({ ...options, properties: withUserProperties(options?.properties, userProperties) }),
    ended,
  );
}

/**
 * Sends a request within a span, which ends with the last reply or when the requester gives up.
 *
 * @param send - sends it and returns a function that gives up waiting
 * @internal
 */
export function tracedRequest(
  tracing: MqttTracing,
  operation: MqttSendOperation,
  properties: PublishProperties | undefined,
  callback: (packet: WritePacket) => void,
  send: (properties: PublishProperties, callback: (packet: WritePacket) => void) => () => void,
): () => void {
  let giveUp!: () => void;
  let end!: () => void;
  const replied = tracing.send(
    operation,
    (userProperties) =>
      new Promise<void>((resolve, reject) => {
        end = resolve;
        giveUp = send(withUserProperties(properties, userProperties), (packet) => {
          if (packet.err !== undefined && packet.err !== null) reject(packet.err);
          else if (packet.isDisposed === true) resolve();
          callback(packet);
        });
      }),
  );
  // The callback has told the requester.
  replied.catch(() => undefined);
  return () => {
    giveUp();
    end();
  };
}
