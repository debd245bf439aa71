import { Controller, Inject } from '@nestjs/common';
import { ClientProxy, EventPattern, Payload } from '@nestjs/microservices';
import { catchError, firstValueFrom, map, of, tap } from 'rxjs';
import { MQTT } from './transports.js';

/** Asks the stock service, tells it, and hears from it. The same code before and after the move. */
@Controller()
export class OrdersController {
  readonly low: string[] = [];

  constructor(@Inject(MQTT) private readonly client: ClientProxy) {}

  /** @returns what became of it */
  place(order: string, article: string, count: number): Promise<string> {
    return firstValueFrom(
      this.client.send<{ left: number }>('stock/reserve', { article, count }).pipe(
        tap(() => this.client.emit(`orders/${order}/placed`, { order })),
        map(({ left }) => `placed, ${left} left`),
        catchError(({ code }: { code: string }) => of(`refused: ${code}`)),
      ),
    );
  }

  @EventPattern('stock/low')
  stockLow(@Payload() { article }: { article: string }): void {
    this.low.push(article);
  }
}
