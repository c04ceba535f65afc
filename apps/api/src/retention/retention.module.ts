import { Module } from '@nestjs/common'
import { AuditModule } from '../audit/audit.module.js'
import { DatabaseModule } from '../database/database.module.js'
import { DocumentsModule } from '../documents/documents.module.js'
import { KeysModule } from '../keys/keys.module.js'
import { RetentionController } from './retention.controller.js'
import { RetentionRepository } from './retention.repository.js'
import { RetentionService } from './retention.service.js'

/** Deletes what isn't kept any longer, and leaves what proves that it was the control plane. */
@Module({
  imports: [AuditModule, DatabaseModule, DocumentsModule, KeysModule],
  controllers: [RetentionController],
  providers: [RetentionRepository, RetentionService],
})
export class RetentionModule {}
