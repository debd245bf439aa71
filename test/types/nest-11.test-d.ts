// Only in tsconfig.nest-11.json. Guards its paths: where they miss, the compiler would quietly take Nest 12.
// @ts-expect-error Nest 12 has it.
export { GrpcAbortedException } from '@nestjs/microservices';
