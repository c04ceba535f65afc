import { Module } from '@nestjs/common'
import { AuditModule } from '../audit/audit.module.js'
import { HttpConfigModule } from '../config/http-config.module.js'
import { DatabaseModule } from '../database/database.module.js'
import { IdentityModule } from '../identity/identity.module.js'
import { KeysModule } from '../keys/keys.module.js'
import { LockStoreModule } from '../locks/lock-store.module.js'
import { NodesModule } from '../nodes/nodes.module.js'
import { NotifyModule } from '../notify/notify.module.js'
import { PoliciesModule } from '../policies/policies.module.js'
import { TargetsModule } from '../targets/targets.module.js'
import { GrantRefresher } from './grant-refresher.js'
import { GrantsService } from './grants.service.js'
import { LeasesService } from './leases.service.js'
import { LiveSessions } from './live-sessions.js'
import { RecordingsService } from './recording/recordings.service.js'
import { ViewsService } from './recording/views.service.js'
import { WatchService } from './recording/watch.service.js'
import { SessionOpener } from './session-opener.js'
import { SessionsConfig } from './sessions.config.js'
import { SessionsController } from './sessions.controller.js'
import { SessionsRepository } from './sessions.repository.js'
import { SessionsService } from './sessions.service.js'

/** Sessions: opening, leases, kills, grants of live ones. */
@Module({
  imports: [AuditModule, DatabaseModule, HttpConfigModule, IdentityModule, KeysModule, LockStoreModule, NodesModule, NotifyModule, PoliciesModule, TargetsModule],
  controllers: [SessionsController],
  providers: [
    GrantRefresher, GrantsService, LeasesService, LiveSessions, RecordingsService, SessionOpener, SessionsConfig, SessionsRepository, ViewsService, WatchService,
    { provide: SessionsService, useExisting: LiveSessions },
  ],
  exports: [LeasesService, SessionOpener, SessionsRepository, SessionsService],
})
export class SessionsModule {}
