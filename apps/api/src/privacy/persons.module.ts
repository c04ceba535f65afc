import { Module } from '@nestjs/common'
import { DatabaseModule } from '../database/database.module.js'
import { KeysModule } from '../keys/keys.module.js'
import { NotifyModule } from '../notify/notify.module.js'
import { PersonsRepository } from './persons.repository.js'
import { PersonsService } from './persons.service.js'
import { PrivacyConfig } from './privacy.config.js'

/** Pseudonyms of people. Below the audit trail, which writes and reads them. */
@Module({ imports: [DatabaseModule, KeysModule, NotifyModule], providers: [PersonsRepository, PersonsService, PrivacyConfig], exports: [PersonsService] })
export class PersonsModule {}
