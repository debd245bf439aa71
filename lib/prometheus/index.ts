export { registerMqttMetrics, type MqttMetricsOptions, type MqttMetricsSource } from './mqtt.metrics.js';
