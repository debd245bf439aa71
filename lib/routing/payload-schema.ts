import type { OptionChecks } from '../eventloop/option-checks.js';
import type { MqttPayloadSchema, StandardJsonSchema } from '../interfaces/handler-options.interface.js';
import { describeError, MqttHandlersError } from '../mqtt.errors.js';

const expected =
  'a JSON Schema (draft 07), or a schema that can be put out as one (Standard JSON Schema), such as those of zod 4.2 and later';

/** Reads the option `payloadSchema` of a handler. @internal */
export function readPayloadSchema(value: unknown, checks: OptionChecks): MqttPayloadSchema | undefined {
  if (value === undefined) return undefined;
  const isPlain = typeof value === 'object' && value !== null && !Array.isArray(value) && !('~standard' in value);
  // Some libraries make functions.
  if (isPlain || isStandard(value)) return value as MqttPayloadSchema;
  checks.report('payloadSchema', value, expected);
  return undefined;
}

/** @throws MqttHandlersError when the schema's library cannot say it in JSON Schema. @internal */
export function toJsonSchema(pattern: string, schema: MqttPayloadSchema): Readonly<Record<string, unknown>> {
  if (!isStandard(schema)) return schema;
  const standard = schema['~standard'];
  try {
    // What handlers are given is the output; what is on the wire is the input.
    return standard.jsonSchema.input({ target: 'draft-07' });
  } catch (cause) {
    const value = `a schema of ${standard.vendor}`;
    throw new MqttHandlersError([
      {
        pattern,
        option: 'payloadSchema',
        value,
        expected: `one that JSON Schema can express: ${describeError(cause)}`,
      },
    ]);
  }
}

function isStandard(value: unknown): value is StandardJsonSchema {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function') || !('~standard' in value))
    return false;
  const standard = value['~standard'] as Partial<StandardJsonSchema['~standard']> | undefined;
  return typeof standard?.jsonSchema?.input === 'function';
}
