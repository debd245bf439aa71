import type { IncomingMessage } from '../eventloop/messages.js';
import { ConcurrencyGate } from './concurrency-gate.js';
import { KeyLanes } from './key-lanes.js';
import { DeadLetterTopic } from './dead-letter-topic.js';
import type { DeadLetterSettings, SettlementSettings } from './settlement-settings.js';

/** How one handler's messages are run and settled: its options, made ready at registration. @internal */
export interface SettlementPlan extends SettlementSettings {
  /** Whether the message waits for this handler's decision. */
  readonly hasSay: boolean;
  /** Where messages go that cannot be decoded, if they are to be kept: a dead letter topic even if none is declared. */
  readonly undecodableLetter: DeadLetterSettings;
  readonly gate: ConcurrencyGate | undefined;
  readonly lanes: KeyLanes | undefined;
  readonly keyOf: ((message: IncomingMessage) => string) | undefined;
}

const usualDeadLetter: DeadLetterSettings = Object.freeze({
  topic: new DeadLetterTopic('dead/{topic}'),
  qos: 1,
  retain: false,
});

/**
 * @param topicPrefix - what comes before the topics of dead letters
 * @internal
 */
export function planSettlement(settings: SettlementSettings, topicPrefix?: string): SettlementPlan {
  const { acknowledge, concurrency, ordering, deadLetter } = settings;
  const letter = under(topicPrefix, deadLetter ?? usualDeadLetter);
  return Object.freeze({
    ...settings,
    deadLetter: deadLetter === undefined ? undefined : letter,
    undecodableLetter: letter,
    hasSay: acknowledge !== 'on-receive',
    gate: concurrency === undefined ? undefined : new ConcurrencyGate(concurrency),
    lanes: ordering === 'none' ? undefined : new KeyLanes(),
    keyOf: ordering === 'none' ? undefined : ordering,
  });
}

function under(topicPrefix: string | undefined, letter: DeadLetterSettings): DeadLetterSettings {
  return topicPrefix === undefined ? letter : Object.freeze({ ...letter, topic: letter.topic.under(topicPrefix) });
}
