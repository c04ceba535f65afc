import { Module } from '@nestjs/common'
import { AccessModule } from '../access/access.module.js'
import { AuditModule } from '../audit/audit.module.js'
import { DatabaseModule } from '../database/database.module.js'
import { NotifyModule } from '../notify/notify.module.js'
import { ApprovalOutbox } from './approval-outbox.js'
import { ApprovalPageController } from './approval-page.controller.js'
import { ApprovalsController } from './approvals.controller.js'
import { ApprovalsRepository } from './approvals.repository.js'
import { ApprovalsService } from './approvals.service.js'
import { DecisionsService } from './decisions.service.js'
import { HoldsController } from './holds.controller.js'
import { HoldsService } from './holds.service.js'
import { ReviewService } from './review.service.js'

/** Held commands and the people who decide them. */
@Module({
  imports: [AccessModule, AuditModule, DatabaseModule, NotifyModule],
  controllers: [ApprovalsController, ApprovalPageController, HoldsController],
  providers: [ApprovalOutbox, ApprovalsRepository, ApprovalsService, DecisionsService, HoldsService, ReviewService],
  exports: [ApprovalsService],
})
export class ApprovalsModule {}
