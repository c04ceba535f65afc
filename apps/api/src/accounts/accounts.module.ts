import { Module } from '@nestjs/common'
import { DatabaseModule } from '../database/database.module.js'
import { DocumentsModule } from '../documents/documents.module.js'
import { NotifyModule } from '../notify/notify.module.js'
import { AccountsRepository } from './accounts.repository.js'
import { AccountsService } from './accounts.service.js'

/** People at identity providers who have signed in. */
@Module({ imports: [DatabaseModule, DocumentsModule, NotifyModule], providers: [AccountsRepository, AccountsService], exports: [AccountsRepository, AccountsService] })
export class AccountsModule {}
