import { Module } from '@nestjs/common'
import { AuditModule } from '../audit/audit.module.js'
import { DatabaseModule } from '../database/database.module.js'
import { NotifyModule } from '../notify/notify.module.js'
import { ApplyService } from './apply.service.js'
import { DocumentsController } from './documents.controller.js'
import { DocumentsRepository } from './documents.repository.js'
import { DocumentsService } from './documents.service.js'
import { HistoryController } from './history.controller.js'
import { SchemasController } from './schemas.controller.js'

/** Documents: the configuration, applied as a whole. */
@Module({
  imports: [AuditModule, DatabaseModule, NotifyModule],
  // Before the others: `history` would be a kind to them.
  controllers: [HistoryController, DocumentsController, SchemasController],
  providers: [ApplyService, DocumentsRepository, DocumentsService],
  exports: [ApplyService, DocumentsService],
})
export class DocumentsModule {}
