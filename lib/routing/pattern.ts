import { MqttArgumentError } from '../eventloop/errors.js';
import { assertTopicFilter, parseSharedFilter } from '../eventloop/topics.js';
import { withPrefix } from './topic-prefix.js';

/** A wildcard of a declared pattern. @internal */
export interface Wildcard {
  /** Undefined for a plain `+` or `#`. */
  readonly name: string | undefined;
  /** Index of the topic level, or of the first level for `#`. */
  readonly level: number;
  /** `#`: all levels from here on. */
  readonly rest: boolean;
}

/** A declared pattern, read once at registration. @internal */
export interface TopicPattern {
  /** As the handler declares it. */
  readonly declared: string;
  /** What the broker is asked for: no wildcard names, `$share/group/` where the handler shares. */
  readonly subscription: string;
  /** What topics are compared with: the subscription without `$share/group/`. */
  readonly filter: string;
  readonly share: string | undefined;
  readonly wildcards: readonly Wildcard[];
}

const wildcardName = /^[A-Za-z_][\w-]*$/;
const shareGroup = /^[^/+#\0]+$/;

/** @internal */
export function isShareGroup(value: unknown): boolean {
  return typeof value === 'string' && shareGroup.test(value);
}

/**
 * Reads `plants/+plant/sensors/#rest`, plain MQTT filters and `$share/group/filter`.
 *
 * @param share - the group from the handler's options
 * @param prefix - what comes before the topics of the registration
 * @internal
 */
export function parsePattern(declared: string, share?: string, prefix?: string): TopicPattern {
  const shared = parseSharedFilter(declared);
  if (share !== undefined) {
    if (shared !== undefined) {
      throw new MqttArgumentError(
        'share',
        share,
        `no share option, for the pattern "${declared}" names its group itself`,
      );
    }
    if (!isShareGroup(share)) {
      throw new MqttArgumentError('share', share, 'a group name without "/", "+" and "#"');
    }
  }
  const group = share ?? shared?.group;
  const wildcards: Wildcard[] = [];
  const filter = withPrefix(prefix, shared?.filter ?? declared)
    .split('/')
    .map((level, index) => readLevel(level, index, declared, wildcards))
    .join('/');
  const subscription = group === undefined ? filter : `$share/${group}/${filter}`;
  assertTopicFilter(subscription, 'pattern');
  return Object.freeze({ declared, subscription, filter, share: group, wildcards: Object.freeze(wildcards) });
}

function readLevel(level: string, index: number, declared: string, wildcards: Wildcard[]): string {
  const sign = level[0];
  if (sign !== '+' && sign !== '#') return level;
  const name = level.slice(1);
  if (name !== '') {
    if (!wildcardName.test(name)) {
      throw new MqttArgumentError(
        'pattern',
        declared,
        `"${sign}" alone, or with a name of letters, digits, "_" and "-" that begins with a letter, as in "${sign}device"`,
      );
    }
    if (wildcards.some((wildcard) => wildcard.name === name)) {
      throw new MqttArgumentError('pattern', declared, `every wildcard name once; "${name}" occurs twice`);
    }
  }
  wildcards.push(Object.freeze({ name: name === '' ? undefined : name, level: index, rest: sign === '#' }));
  return sign;
}

/**
 * What each wildcard of the pattern stands for in a matching topic, by name, or by position where it has none.
 *
 * @internal
 */
export function readTopicParams(pattern: TopicPattern, topic: string): Readonly<Record<string, string>> {
  const params = Object.create(null) as Record<string, string>;
  pattern.wildcards.forEach((wildcard, position) => {
    params[wildcard.name ?? position] = readWildcard(wildcard, topic);
  });
  return params;
}

/**
 * What one wildcard stands for: its name, or its position among all wildcards of the pattern, the first being 0.
 *
 * @internal
 */
export function readTopicParam(pattern: TopicPattern, topic: string, key: string | number): string {
  const wildcard =
    typeof key === 'number' ? pattern.wildcards[key] : pattern.wildcards.find((candidate) => candidate.name === key);
  if (wildcard === undefined) {
    const known = pattern.wildcards.map((candidate, position) => candidate.name ?? position).join(', ');
    throw new MqttArgumentError(
      'topic parameter',
      key,
      known === ''
        ? `a pattern with wildcards, "${pattern.declared}" has none; write for example "+name"`
        : `one of those that "${pattern.declared}" declares: ${known}`,
    );
  }
  return readWildcard(wildcard, topic);
}

function readWildcard(wildcard: Wildcard, topic: string): string {
  let start = 0;
  for (let level = 0; level < wildcard.level; level++) {
    const slash = topic.indexOf('/', start);
    // "a/#rest" matches "a" as well, where there is no rest.
    if (slash === -1) return '';
    start = slash + 1;
  }
  if (wildcard.rest) return topic.slice(start);
  const end = topic.indexOf('/', start);
  return end === -1 ? topic.slice(start) : topic.slice(start, end);
}
