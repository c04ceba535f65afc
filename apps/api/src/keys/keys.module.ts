import { Module } from '@nestjs/common'
import { DatabaseModule } from '../database/database.module.js'
import { KeysRepository } from './keys.repository.js'
import { KeysService } from './keys.service.js'

/** The control plane's own keys and its CA. */
@Module({ imports: [DatabaseModule], providers: [KeysRepository, KeysService], exports: [KeysService] })
export class KeysModule {}
