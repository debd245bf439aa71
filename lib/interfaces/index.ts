export type * from './client-options.interface.js';
export type * from './codec.interface.js';
export type * from './handler-options.interface.js';
export type * from './module-options.interface.js';
export type * from './presence.interface.js';
export type * from './settlement-options.interface.js';
export type * from './subscription.interface.js';
export type * from './tracing.interface.js';
