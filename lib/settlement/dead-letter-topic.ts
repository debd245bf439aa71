import { MqttArgumentError } from '../eventloop/errors.js';
import { assertTopicName } from '../eventloop/topics.js';

const placeholder = '{topic}';
const expected = 'a topic without wildcards and with at most one "{topic}", such as "dead/{topic}"';

/** A dead letter topic in which `{topic}` stands for the topic of the message. @internal */
export class DeadLetterTopic {
  readonly template: string;
  readonly #before: string;
  /** Undefined: there is no placeholder. */
  readonly #after: string | undefined;

  /** @throws MqttArgumentError */
  constructor(template: unknown) {
    const parts = typeof template === 'string' ? template.split(placeholder) : [];
    const [before, after] = parts;
    // Alone it would be the topic of the message itself: a loop.
    if (before === undefined || parts.length > 2 || (before === '' && after === '') || before.startsWith('$')) {
      throw new MqttArgumentError('topic', template, expected);
    }
    const example = after === undefined ? before : `${before}t${after}`;
    if (/[{}]/.test(example)) throw new MqttArgumentError('topic', template, expected);
    try {
      assertTopicName(example);
    } catch (cause) {
      if (!(cause instanceof MqttArgumentError)) throw cause;
      throw new MqttArgumentError('topic', template, expected);
    }
    this.template = template as string;
    this.#before = before;
    this.#after = after;
  }

  of(topic: string): string {
    return this.#after === undefined ? this.#before : `${this.#before}${topic}${this.#after}`;
  }

  /** Whether a message on this topic is a dead letter already: to bury it again would never end. */
  covers(topic: string): boolean {
    if (this.#after === undefined) return topic === this.#before;
    return topic.startsWith(this.#before) && topic.endsWith(this.#after);
  }
}
