import { Controller, type Type } from '@nestjs/common';
import { EventPattern, MessagePattern, Payload } from '@nestjs/microservices';

export const REQUEST_TOPIC = 'plants/sum';

/**
 * A controller with a method for each filter, with Nest's own `@EventPattern`. Asynchronous ones
 * end in a later turn of Node's event loop, as a handler does that waits for a database.
 */
export function eventController(filters: readonly string[], onEvent: () => void, isAsynchronous: boolean): Type {
  class EventsController {}
  const prototype = EventsController.prototype as Record<string, unknown>;
  for (const [index, filter] of filters.entries()) {
    const name = `onEvent${index}`;
    const handle = (reading: { value: number }): void => {
      if (reading.value !== 21.53) throw new Error(`handler ${index} got ${JSON.stringify(reading)}`);
      onEvent();
    };
    prototype[name] = isAsynchronous
      ? async (reading: { value: number }) => {
          await nextTurn();
          handle(reading);
        }
      : handle;
    Payload()(prototype, name, 0);
    EventPattern(filter)(prototype, name, Object.getOwnPropertyDescriptor(prototype, name)!);
  }
  Controller()(EventsController);
  return EventsController;
}

let turn: Promise<void> | undefined;

/** One promise for all who wait in a turn, so that the waiting itself costs next to nothing. */
function nextTurn(): Promise<void> {
  return (turn ??= new Promise((resolve) => {
    setImmediate(() => {
      turn = undefined;
      resolve();
    });
  }));
}

/** Adds up numbers on request. */
export function requestController(): Type {
  class SumController {
    sum(numbers: readonly number[]): number {
      return numbers.reduce((a, b) => a + b, 0);
    }
  }
  const { prototype } = SumController;
  Payload()(prototype, 'sum', 0);
  MessagePattern(REQUEST_TOPIC)(prototype, 'sum', Object.getOwnPropertyDescriptor(prototype, 'sum')!);
  Controller()(SumController);
  return SumController;
}
