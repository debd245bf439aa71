export { openTelemetry, type OpenTelemetryOptions } from './mqtt.tracing.js';
