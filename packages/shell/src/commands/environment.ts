/**
 * Variables that change which program runs, or make a program run another: the loader's, the shells', editors and pagers,
 * start-up files and options of interpreters and tools. A list can't be complete; that is why names that stay are shown to
 * the policy as assignments and not dropped.
 */
const exactNames = new Set(
  `PATH IFS ENV CDPATH GLOBIGNORE FPATH SHELL SHELLOPTS HOME PROMPT_COMMAND POSIXLY_CORRECT FCEDIT EDITOR VISUAL BROWSER EXINIT
   CLASSPATH LIBPATH SHLIB_PATH GCONV_PATH LOCPATH NLSPATH HOSTALIASES RESOLV_HOST_CONF RES_OPTIONS LOCALDOMAIN TZDIR
   TERMCAP INPUTRC MAKE MFLAGS GNUMAKEFLAGS CC CXX CPP LD AR AS FC TAR_OPTIONS GZIP BZIP2 BZIP XZ_OPT XZ_DEFAULTS ZSTD_CLEVEL
   ZIPOPT ZIP UNZIP UNZIPOPT GREP_OPTIONS CVS_RSH SVN_SSH SVN_EDITOR MAIL MAILPATH MAILRC TMOUT WGETRC NETRC KUBECONFIG
   MORE LESS SYSTEMD_LESS MANPATH MANSECT TMPDIR PHPRC IRBRC PGSERVICEFILE PGPASSFILE PGSYSCONFDIR HISTFILE HISTTIMEFORMAT
   http_proxy https_proxy ftp_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY FTP_PROXY ALL_PROXY NO_PROXY`.split(/\s+/),
)

const families = [
  /^(?:LD|DYLD|_RLD|BASH|PS\d|GIT|SSH|SUDO|DOAS|RSYNC|HG|SVN|MALLOC|GLIBC|TERMINFO|XDG|DBUS|SYSTEMD)(?:_|$)/,
  /^(?:PS\d|BASHOPTS|TERMINFO|GLIBC_TUNABLES)/,
  /(?:EDITOR|PAGER|BROWSER|ASKPASS)$/,
  /^(?:PYTHON|PYENV|VIRTUAL_ENV|PIP_|PERL|RUBY|GEM_|BUNDLE_|NODE_|NPM_|npm_|YARN_|PNPM_|COREPACK_|DENO_|BUN_|LUA|PHP_|TCL|R_|JULIA_|GUILE)/,
  /^(?:_?JAVA_|JDK_|_JAVA|MAVEN_|MVN|GRADLE_|ANT_|SBT_|GO|CARGO|RUST|CMAKE_|MAKE|PKG_CONFIG|CFLAGS|CXXFLAGS|LDFLAGS|CPPFLAGS|CCACHE)/,
  /^(?:LESS|MAN[A-Z]|VIM|GVIM|EMACS|SCREEN|TMUX|PSQL|MYSQL|SQLITE|OPENSSL|SSL_|CURL|HELM_|DOCKER_|KUBE|ANSIBLE_|TF_|AWS_|AZURE_|CLOUDSDK_|GOOGLE_|VAULT_)/,
  // dash and bash set their own special variables by these too.
  /^(?:COMP_|READLINE_|HIST|FUNCNEST|EXECIGNORE|OPTERR|LINES$|COLUMNS$)/,
]

/** Whether setting (or unsetting) this variable may change what runs. */
export function changesWhatRuns(name: string): boolean {
  return !/^[A-Za-z_]\w*$/.test(name) || exactNames.has(name) || families.some((family) => family.test(name))
}

/**
 * Whether a variable that is set for the shell may be in the environment of the commands after it. Any that the host has
 * exported already is; by custom their names have capitals, and those of a script's own variables don't.
 */
export function mayBeExported(name: string): boolean {
  return /[A-Z]/.test(name)
}
