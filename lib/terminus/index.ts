export { MqttHealthIndicator, type MqttHealthDetails, type MqttHealthOptions } from './mqtt.health-indicator.js';
