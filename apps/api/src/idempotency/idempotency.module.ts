import { Global, Module } from '@nestjs/common'
import { DatabaseModule } from '../database/database.module.js'
import { KeysModule } from '../keys/keys.module.js'
import { IdempotencyRepository } from './idempotency.repository.js'
import { IdempotencyService } from './idempotency.service.js'

/** Idempotency keys, for the routes of every room that says `@Idempotent()`. */
@Global()
@Module({ imports: [DatabaseModule, KeysModule], providers: [IdempotencyRepository, IdempotencyService], exports: [IdempotencyService] })
export class IdempotencyModule {}
