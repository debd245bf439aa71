import { Controller, type Type } from '@nestjs/common';
import { EventPattern, Payload } from '@nestjs/microservices';
import { filterOf } from '../wire.js';

/** A controller with `handlers` methods, each with Nest's own `@EventPattern` for one wildcard filter. */
export function eventController(handlers: number, onEvent: () => void): Type {
  class EventsController {}
  const prototype = EventsController.prototype as Record<string, unknown>;
  for (let index = 0; index < handlers; index++) {
    const name = `onEvent${index}`;
    prototype[name] = (reading: { value: number }) => {
      if (reading.value !== 21.53) throw new Error(`handler ${index} got ${JSON.stringify(reading)}`);
      onEvent();
    };
    Payload()(prototype, name, 0);
    EventPattern(filterOf(index))(prototype, name, Object.getOwnPropertyDescriptor(prototype, name)!);
  }
  Controller()(EventsController);
  return EventsController;
}
