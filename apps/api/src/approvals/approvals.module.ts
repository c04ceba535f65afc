import { Module } from '@nestjs/common'
import { AccessModule } from '../access/access.module.js'
import { AuditModule } from '../audit/audit.module.js'
import { DatabaseModule } from '../database/database.module.js'
import { DocumentsModule } from '../documents/documents.module.js'
import { NotifyModule } from '../notify/notify.module.js'
import { ApprovalOutbox } from './approval-outbox.js'
import { ApprovalPageController } from './approval-page.controller.js'
import { ApprovalsConfig } from './approvals.config.js'
import { ApprovalsController } from './approvals.controller.js'
import { ApprovalsRepository } from './approvals.repository.js'
import { ApprovalsService } from './approvals.service.js'
import { CommentsController } from './comments.controller.js'
import { CommentsService } from './comments.service.js'
import { DecisionsService } from './decisions.service.js'
import { HoldsController } from './holds.controller.js'
import { HoldsService } from './holds.service.js'
import { RememberedController } from './remembered.controller.js'
import { RememberedRepository } from './remembered.repository.js'
import { RememberedService } from './remembered.service.js'
import { ReviewService } from './review.service.js'

/** Held commands and the people who decide them. */
@Module({
  imports: [AccessModule, AuditModule, DatabaseModule, DocumentsModule, NotifyModule],
  // Before the others: `remembered` would be an id to them.
  controllers: [RememberedController, CommentsController, ApprovalsController, ApprovalPageController, HoldsController],
  providers: [ApprovalOutbox, ApprovalsConfig, ApprovalsRepository, ApprovalsService, CommentsService, DecisionsService, HoldsService, RememberedRepository, RememberedService, ReviewService],
  exports: [ApprovalsService],
})
export class ApprovalsModule {}
