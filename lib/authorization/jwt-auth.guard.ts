import { Inject, Injectable, type CanActivate, type ExecutionContext } from '@nestjs/common';
import { MqttOptionsError } from '../eventloop/errors.js';
import type { MqttContext } from '../mqtt.context.js';
import { JwtVerifier, type JwtVerifierOptions, type VerifiedClaims } from './jwt-verifier.js';
import { rememberClaims } from './token-claims.js';

/** Where a message carries its token. @publicApi */
export type TokenLocation =
  /** An MQTT 5 user property; `Bearer ` before the token is optional. */
  | { readonly userProperty: string }
  /** A field of the decoded payload, for MQTT 3.1.1. The handler sees it too. */
  | { readonly payloadField: string }
  | ((data: unknown, context: MqttContext) => unknown);

/** @publicApi */
export interface JwtAuthGuardOptions extends JwtVerifierOptions {
  /** Default: the user property `authorization`. */
  readonly tokenIn?: TokenLocation | undefined;
  /** Whether the owner of a genuine token may send this message: compare a claim with the topic, say. Default: yes. */
  readonly isAllowed?:
    ((claims: VerifiedClaims, context: MqttContext, data: unknown) => boolean | Promise<boolean>) | undefined;
}

/** What the guards of an application share: one verifier, and where tokens are. @publicApi */
export class JwtAuth {
  readonly verifier: JwtVerifier;
  readonly #tokenIn: TokenLocation;
  readonly #isAllowed: JwtAuthGuardOptions['isAllowed'];

  /** @throws MqttOptionsError naming every mistake; never repeats a key */
  constructor({ tokenIn = { userProperty: 'authorization' }, isAllowed, ...options }: JwtAuthGuardOptions) {
    this.verifier = new JwtVerifier(options);
    if (!isLocation(tokenIn)) {
      const expected = '{ userProperty }, { payloadField } or a function';
      throw new MqttOptionsError([{ option: 'jwtAuth.tokenIn', value: '…', expected }]);
    }
    if (!(isAllowed === undefined || typeof isAllowed === 'function'))
      throw new MqttOptionsError([{ option: 'jwtAuth.isAllowed', value: typeof isAllowed, expected: 'a function' }]);
    this.#tokenIn = tokenIn;
    this.#isAllowed = isAllowed;
  }

  /** @throws TokenRefusedException */
  verify(data: unknown, context: MqttContext): Promise<VerifiedClaims> {
    const isAllowed = this.#isAllowed;
    return this.verifier.verify(
      this.#token(data, context),
      isAllowed && ((claims) => isAllowed(claims, context, data)),
    );
  }

  #token(data: unknown, context: MqttContext): unknown {
    const where = this.#tokenIn;
    if (typeof where === 'function') return where(data, context);
    // Several properties of one name are a list, which is no token: nobody can say which one counts.
    const found =
      'userProperty' in where
        ? own(context.getProperties()?.userProperties, where.userProperty)
        : own(data, where.payloadField);
    return typeof found === 'string' ? found.replace(/^bearer +/i, '') : found;
  }
}

/**
 * Lets a message through to its handler only with a token that verifies; its claims are then in `@TokenClaims()`. Refuses whatever
 * is no message.
 *
 * `@UseGuards(new JwtAuthGuard({ keys, algorithms, … }))`, or `@UseGuards(JwtAuthGuard)` with a provider for {@link JwtAuth}, which
 * all guards then share.
 *
 * @publicApi
 */
@Injectable()
export class JwtAuthGuard implements CanActivate {
  readonly #auth: JwtAuth;

  /** @throws MqttOptionsError */
  constructor(@Inject(JwtAuth) auth: JwtAuth | JwtAuthGuardOptions) {
    this.#auth = auth instanceof JwtAuth ? auth : new JwtAuth(auth);
  }

  /** @throws TokenRefusedException */
  async canActivate(context: ExecutionContext): Promise<boolean> {
    if (context.getType() !== 'rpc') return false;
    const rpc = context.switchToRpc();
    const message = rpc.getContext<MqttContext>();
    rememberClaims(message, await this.#auth.verify(rpc.getData(), message));
    return true;
  }
}

/** Prototypes carry no tokens. */
function own(from: unknown, name: string): unknown {
  if (typeof from !== 'object' || from === null || !Object.hasOwn(from, name)) return undefined;
  return (from as Readonly<Record<string, unknown>>)[name];
}

function isLocation(where: unknown): boolean {
  if (typeof where === 'function') return true;
  if (typeof where !== 'object' || where === null) return false;
  const [name, ...others] = Object.values(where) as unknown[];
  const isKnown = 'userProperty' in where || 'payloadField' in where;
  return isKnown && others.length === 0 && typeof name === 'string' && name !== '';
}
