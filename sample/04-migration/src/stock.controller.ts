import { Controller, Inject } from '@nestjs/common';
import { ClientProxy, EventPattern, MessagePattern, Payload, RpcException } from '@nestjs/microservices';
import { MQTT } from './transports.js';

/** Answers requests of the orders service, handles its events, and sends it one. The same code before and after the move. */
@Controller()
export class StockController {
  private readonly pieces = new Map([
    ['lamp', 3],
    ['chair', 2],
  ]);
  readonly placed: string[] = [];

  constructor(@Inject(MQTT) private readonly client: ClientProxy) {}

  @MessagePattern('stock/reserve')
  reserve(@Payload() { article, count }: { article: string; count: number }): { left: number } {
    const left = (this.pieces.get(article) ?? 0) - count;
    if (left < 0) throw new RpcException({ code: 'SOLD_OUT', article });
    this.pieces.set(article, left);
    if (left === 0) this.client.emit('stock/low', { article });
    return { left };
  }

  @EventPattern('orders/+/placed')
  orderPlaced(@Payload() { order }: { order: string }): void {
    this.placed.push(order);
  }
}
