import { MqttArgumentError } from '../eventloop/errors.js';
import { assertTopicName } from '../eventloop/topics.js';
import { withPrefix } from '../routing/topic-prefix.js';

const placeholder = '{topic}';
const expected = 'a topic without wildcards and with at most one "{topic}", such as "dead/{topic}"';

/** A dead letter topic in which `{topic}` stands for the topic of the message. @internal */
export class DeadLetterTopic {
  readonly template: string;
  readonly #before: string;
  /** What `{topic}` leaves out of the topic of a message. */
  readonly #prefix: string;
  /** Undefined: there is no placeholder. */
  readonly #after: string | undefined;

  /**
   * @param topicPrefix - of the registration: comes before the template, and is left out of what `{topic}` stands for
   * @throws MqttArgumentError
   */
  constructor(template: unknown, topicPrefix?: string) {
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
    this.template = withPrefix(topicPrefix, template as string);
    this.#prefix = topicPrefix === undefined ? '' : `${topicPrefix}/`;
    this.#before = `${this.#prefix}${before}`;
    this.#after = after;
  }

  /** The same template among the topics of a registration. */
  under(topicPrefix: string | undefined): DeadLetterTopic {
    return topicPrefix === undefined ? this : new DeadLetterTopic(this.template, topicPrefix);
  }

  of(topic: string): string {
    if (this.#after === undefined) return this.#before;
    const own = topic.startsWith(this.#prefix) ? topic.slice(this.#prefix.length) : topic;
    return `${this.#before}${own}${this.#after}`;
  }

  /** Whether a message on this topic is a dead letter already: to bury it again would never end. */
  covers(topic: string): boolean {
    if (this.#after === undefined) return topic === this.#before;
    return topic.startsWith(this.#before) && topic.endsWith(this.#after);
  }
}
