import { MqttRecord } from '@nestjs/microservices';
import type { PublishOptions, PublishProperties } from '../eventloop/messages.js';

/** Data and the options that travel with it. @internal */
export interface UnwrappedRecord {
  readonly data: unknown;
  readonly options: Pick<PublishOptions, 'qos' | 'retain' | 'properties'> | undefined;
}

/**
 * Takes a record of Nest's `MqttRecordBuilder` apart. Neither the record nor its data is changed, so it can be sent again.
 *
 * @internal
 */
export function unwrapRecord(value: unknown): UnwrappedRecord {
  if (!(value instanceof MqttRecord)) return { data: value, options: undefined };
  const options = value.options;
  if (options === undefined) return { data: value.data, options: undefined };
  return {
    data: value.data,
    options: {
      qos: options.qos,
      retain: options.retain,
      properties: readProperties(options.properties),
    },
  };
}

/** From the names of MQTT.js, which the record uses. */
function readProperties(properties: Readonly<Record<string, unknown>> | undefined): PublishProperties | undefined {
  if (properties === undefined) return undefined;
  return {
    payloadFormatIndicator: properties['payloadFormatIndicator'] as boolean | undefined,
    messageExpirySeconds: properties['messageExpiryInterval'] as number | undefined,
    responseTopic: properties['responseTopic'] as string | undefined,
    correlationData: properties['correlationData'] as Uint8Array | undefined,
    contentType: properties['contentType'] as string | undefined,
    userProperties: properties['userProperties'] as PublishProperties['userProperties'],
  };
}
