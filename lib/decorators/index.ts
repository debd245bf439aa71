export * from './handler.decorator.js';
export * from './inject.decorator.js';
export * from './topic-param.decorator.js';
