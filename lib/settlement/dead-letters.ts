import { Buffer } from 'node:buffer';
import type { EventLoop } from '../eventloop/event-loop.js';
import type { IncomingMessage, PublishOptions, PublishProperties } from '../eventloop/messages.js';
import { describeError } from '../mqtt.errors.js';
import { toJson } from '../serialization/payload.js';
import type { TracedSends } from '../telemetry/traced-sends.js';
import type { DeadLetterSettings } from './settlement-settings.js';
import { shortened } from './shortened.js';

/** Enough for people, too little to fill a packet. */
const mostErrorCharacters = 1_024;

/** What is known about a message that nobody could handle. @internal */
export interface DeadLetter {
  readonly message: IncomingMessage;
  /** The pattern of the handler. */
  readonly handler: string;
  readonly error: unknown;
  readonly attempts: number;
  /** Out-of-band values that came with it in a Nest envelope. */
  readonly metadata: Readonly<Record<string, string>> | undefined;
}

/** Publishes dead letters. @internal */
export class DeadLetterPublisher {
  readonly #loop: Pick<EventLoop, 'publish'>;
  readonly #traced: TracedSends | undefined;

  constructor(loop: Pick<EventLoop, 'publish'>, traced?: TracedSends) {
    this.#loop = loop;
    this.#traced = traced;
  }

  /** Resolves when the broker has it (QoS 0: when it is written). */
  async publish(settings: DeadLetterSettings, letter: DeadLetter, protocolVersion: 4 | 5 | undefined): Promise<void> {
    const topic = settings.topic.of(letter.message.topic);
    const { qos, retain } = settings;
    const payload = protocolVersion === 5 ? letter.message.payload : envelopeOf(letter);
    const properties = protocolVersion === 5 ? propertiesOf(letter) : undefined;
    const options: PublishOptions = { qos, retain, properties };
    const { message, handler } = letter;
    await (this.#traced?.deadLetter(message, handler, topic, payload, options) ??
      this.#loop.publish(topic, payload, options));
  }
}

/**
 * The payload stays as it is and says so; the rest are user properties, beside those of the message (`traceparent` among
 * them). It does not expire, and asks for no reply: whoever reads dead letters is not the one who was asked.
 */
function propertiesOf({ message, handler, error, attempts, metadata }: DeadLetter): PublishProperties {
  const { payloadFormatIndicator, contentType, userProperties } = message.properties ?? {};
  return {
    payloadFormatIndicator,
    contentType,
    userProperties: {
      ...metadata,
      ...userProperties,
      'dead-letter-topic': message.topic,
      'dead-letter-handler': handler,
      'dead-letter-error': errorText(error),
      'dead-letter-attempts': String(attempts),
      'dead-letter-qos': String(message.qos),
    },
  };
}

/** MQTT 3.1.1 has no properties: the same as JSON. */
function envelopeOf({ message, handler, error, attempts, metadata }: DeadLetter): string {
  const text = message.payload.toString('utf8');
  const isText = Buffer.from(text, 'utf8').equals(message.payload);
  return toJson({
    topic: message.topic,
    handler,
    error: errorText(error),
    attempts,
    qos: message.qos,
    ...(metadata === undefined ? {} : { metadata }),
    encoding: isText ? 'utf8' : 'base64',
    payload: isText ? text : message.payload.toString('base64'),
  });
}

/** Well-formed, as MQTT asks of its strings, and without the null character that it forbids. */
function errorText(error: unknown): string {
  const text = shortened(describeError(error), mostErrorCharacters).replaceAll('\0', '\uFFFD');
  return Buffer.from(text, 'utf8').toString('utf8');
}
