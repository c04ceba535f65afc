import { Module } from '@nestjs/common'
import { DatabaseModule } from '../database/database.module.js'
import { KeysModule } from '../keys/keys.module.js'
import { NotifyModule } from '../notify/notify.module.js'
import { PersonsRepository } from './persons.repository.js'
import { PseudonymsService } from './pseudonyms.service.js'

/** People's names and what stands for them in the log. */
@Module({
  imports: [DatabaseModule, KeysModule, NotifyModule],
  providers: [PersonsRepository, PseudonymsService],
  exports: [PersonsRepository, PseudonymsService],
})
export class PersonsModule {}
