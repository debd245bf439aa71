import { generateKeyPairSync } from 'node:crypto';
import { Controller, UseGuards, type ArgumentsHost, Catch, type ExceptionFilter, UseFilters } from '@nestjs/common';
import { Payload } from '@nestjs/microservices';
import { SignJWT, type JWTPayload } from 'jose';
import {
  getTokenClaims,
  JwtAuth,
  JwtAuthGuard,
  MqttContext,
  MqttEvent,
  MqttMessage,
  TokenClaims,
  TokenRefusedException,
  TopicParam,
  type VerifiedClaims,
} from 'nestjs-rumqtt';
import { throwError, type Observable } from 'rxjs';
import { beforeEach, expect, it } from 'vitest';
import { expectEventually, onEveryBroker, onMqtt5, startMicroservice } from './support.js';

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const common = { keys: publicKey, algorithms: ['ES256'], audience: 'plants' } as const;
const nowSeconds = (): number => Math.floor(Date.now() / 1_000);

function tokenOf(claims: JWTPayload = {}): Promise<string> {
  const all = { aud: 'plants', sub: 'p7', exp: nowSeconds() + 600, ...claims };
  return new SignJWT(all).setProtectedHeader({ alg: 'ES256' }).sign(privateKey);
}

let calls: unknown[] = [];
beforeEach(() => (calls = []));

@Catch(TokenRefusedException)
class Recording implements ExceptionFilter<TokenRefusedException> {
  catch(exception: TokenRefusedException, host: ArgumentsHost): Observable<never> {
    calls.push(['filter', exception.reason, host.switchToRpc().getContext<MqttContext>().getTopic()]);
    return throwError(() => exception.getError());
  }
}

/** Guards made by Nest: the application provides what they share. */
@Controller()
@UseGuards(JwtAuthGuard)
class Plants {
  @MqttEvent('plants/+plant')
  record(@Payload() value: unknown, @TokenClaims() claims: VerifiedClaims, @TopicParam('plant') plant: string): void {
    calls.push(['record', plant, value, claims.sub]);
  }

  @MqttMessage('whoami')
  whoAmI(@TokenClaims('sub') subject: string): string {
    return subject;
  }

  @UseFilters(Recording)
  @MqttEvent('filtered')
  filtered(): void {
    calls.push('filtered');
  }
}

/** A guard of its own, on one handler; the other one is open. */
@Controller()
class Payloads {
  @UseGuards(new JwtAuthGuard({ ...common, tokenIn: { payloadField: 'token' } }))
  @MqttMessage('sum')
  sum(@Payload('numbers') numbers: number[], @TokenClaims() claims: VerifiedClaims): unknown {
    return [claims.sub, numbers.reduce((a, b) => a + b, 0)];
  }

  @MqttMessage('open')
  open(@TokenClaims() claims: VerifiedClaims | undefined): string {
    return typeof claims;
  }
}

/** `authorization` as devices send it. */
const bearing = (token: string | readonly string[]) => ({ properties: { userProperties: { authorization: token } } });

onMqtt5((broker) => {
  const start = (auth = new JwtAuth(common)) =>
    startMicroservice(broker, { controllers: [Plants], providers: [{ provide: JwtAuth, useValue: auth }] });

  it('a handler runs with a token in the user property, and has its claims', async () => {
    await using app = await start();
    await app.client.publish('plants/7', 21, { qos: 1, ...bearing(await tokenOf()) });
    await app.client.publish('plants/8', 22, { qos: 1, ...bearing(`Bearer ${await tokenOf({ sub: 'p8' })}`) });
    await expectEventually(
      () => calls,
      [
        ['record', '7', 21, 'p7'],
        ['record', '8', 22, 'p8'],
      ],
    );
    expect(await app.client.request('whoami', {}, bearing(await tokenOf()))).toBe('p7');
  });

  it('without a good token the handler does not run; the refusal is counted, and no log repeats the token', async () => {
    const auth = new JwtAuth(common);
    await using app = await start(auth);
    const expired = await tokenOf({ exp: nowSeconds() - 600 });
    await app.client.publish('plants/7', 1, { qos: 0 });
    await app.client.publish('plants/7', 2, { qos: 0, ...bearing(expired) });
    await app.client.publish('plants/7', 3, { qos: 0, ...bearing([await tokenOf(), await tokenOf({ sub: 'p8' })]) });
    await app.client.publish('plants/7', 4, { qos: 0, ...bearing(await tokenOf({ aud: 'others' })) });
    await expectEventually(() => auth.verifier.stats().refused, {
      ...new JwtAuth(common).verifier.stats().refused,
      missing: 1,
      expired: 1,
      malformed: 1,
      claim: 1,
    });
    await expectEventually(() => app.log.of('error').length, 4);
    expect(app.log.of('error')[0]).toContain('"plants/+plant" failed on "plants/7": token refused: missing');
    expect(calls).toEqual([]);
    expect(JSON.stringify(app.log.lines)).not.toContain(expired.slice(-40));
    expect(auth.verifier.stats().accepted).toBe(0);
  });

  it('a requester is told why, and an exception filter can catch it', async () => {
    await using app = await start();
    const refused = app.client.request('whoami', {}, bearing(await tokenOf({ exp: 5 })));
    await expect(refused).rejects.toMatchObject({
      response: { status: 'error', code: 'TOKEN_REFUSED', reason: 'expired', message: 'token refused: expired' },
    });
    await app.client.publish('filtered', 1, { qos: 0 });
    await expectEventually(() => calls, [['filter', 'missing', 'filtered']]);
  });

  it('a rule of the application compares claims and topic', async () => {
    const auth = new JwtAuth({
      ...common,
      isAllowed: ({ sub }, context) => context.getTopic() === `plants/${sub}`,
    });
    await using app = await start(auth);
    await app.client.publish('plants/p8', 1, { qos: 1, ...bearing(await tokenOf()) }).catch(() => undefined);
    await app.client.publish('plants/p7', 2, { qos: 1, ...bearing(await tokenOf()) });
    await expectEventually(() => calls, [['record', 'p7', 2, 'p7']]);
    expect(auth.verifier.stats()).toMatchObject({ accepted: 1, refused: { 'not-allowed': 1 } });
  });
});

onEveryBroker((broker) => {
  it('a token in the payload works on every version; a handler without the guard has no claims', async () => {
    await using app = await startMicroservice(broker, { controllers: [Payloads] });
    expect(await app.client.request('sum', { token: await tokenOf(), numbers: [1, 2] })).toEqual(['p7', 3]);
    for (const data of [{ numbers: [1] }, { token: 5 }, 'token', null, [], { token: 'hunter2', numbers: [1] }])
      await expect(app.client.request('sum', data)).rejects.toMatchObject({ response: { code: 'TOKEN_REFUSED' } });
    expect(await app.client.request('open', {})).toBe('undefined');
  });
});

it('the options of a guard are checked when it is made', () => {
  for (const tokenIn of [{}, { header: 'x' }, { userProperty: '' }, { userProperty: 'a', payloadField: 'b' }, 'token'])
    expect(() => new JwtAuthGuard({ ...common, tokenIn: tokenIn as never })).toThrow('jwtAuth.tokenIn');
  expect(() => new JwtAuthGuard({ ...common, isAllowed: true as never })).toThrow('jwtAuth.isAllowed');
  expect(() => new JwtAuthGuard({ ...common, algorithms: [] })).toThrow('jwtVerifier.algorithms');
});

it('what is no message is refused', async () => {
  const guard = new JwtAuthGuard(common);
  expect(await guard.canActivate({ getType: () => 'http' } as never)).toBe(false);
  expect(getTokenClaims({})).toBeUndefined();
});
