import { Module } from '@nestjs/common'
import { AuditModule } from '../audit/audit.module.js'
import { DatabaseModule } from '../database/database.module.js'
import { NotifyModule } from '../notify/notify.module.js'
import { EraseRepository } from './erase.repository.js'
import { EraseService } from './erase.service.js'
import { PrivacyController } from './privacy.controller.js'

/** Erasing people. */
@Module({ imports: [AuditModule, DatabaseModule, NotifyModule], controllers: [PrivacyController], providers: [EraseRepository, EraseService] })
export class PrivacyModule {}
