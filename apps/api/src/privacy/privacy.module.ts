import { Module } from '@nestjs/common'
import { AccessModule } from '../access/access.module.js'
import { AuditModule } from '../audit/audit.module.js'
import { DatabaseModule } from '../database/database.module.js'
import { ErasureRepository } from './erasure.repository.js'
import { ErasureService } from './erasure.service.js'
import { PersonsModule } from './persons.module.js'
import { PrivacyController } from './privacy.controller.js'

/** Forgetting people. */
@Module({
  imports: [AccessModule, AuditModule, DatabaseModule, PersonsModule],
  controllers: [PrivacyController],
  providers: [ErasureRepository, ErasureService],
})
export class PrivacyModule {}
