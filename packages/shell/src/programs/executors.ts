/**
 * Programs that run what someone types, a file, or another program, in ways that aren't followed: shells of other
 * grammars, multiplexers, tracers, schedulers, remote shells, editors and pagers (`!command`), macro processors.
 * The list follows GTFOBins; a program that isn't on it is the policy's matter.
 */
export const executors: ReadonlySet<string> = new Set(
  `zsh ksh ksh93 mksh pdksh rksh rbash rzsh csh tcsh fish elvish nu pwsh powershell xonsh es rc posh yash oil osh
   chroot unshare nsenter setpriv capsh pkexec gosu su-exec runas newgrp sg firejail bwrap proot fakeroot fakechroot faketime setarch linux32 linux64 i386 x86_64
   aa-exec prlimit choom numactl taskset chrt cgexec cpulimit catchsegv eatmydata torsocks torify proxychains proxychains4 unbuffer rlwrap
   start-stop-daemon daemon daemonize run-parts entr watchexec hyperfine multitime chpst softlimit setlock envdir envuidgid setuidgid tini dumb-init
   dbus-run-session dbus-launch xvfb-run ssh-agent parallel sem
   ssh rsh rlogin slogin mosh sshpass pssh parallel-ssh autossh ssh-copy-id telnet ftp tftp lftp ncftp socat
   strace ltrace gdb lldb valgrind perf bpftrace dtrace ftrace uftrace rr
   at batch crontab atd anacron expect autoexpect screen tmux byobu dtach abduco zellij sudoedit visudo vipw vigr
   vi vim nvim view rvi rvim rview ex vimdiff gvim ed red emacs emacsclient nano rnano pico joe jed mcedit mc micro helix hx kak ne sensible-editor editor
   less more most pg man info pinfo sensible-pager pager apropos
   m4 dc gnuplot octave R Rscript julia ghci irb pry iex erl swipl guile racket sbcl clisp gforth scala groovy jshell jrunscript jjs java osascript
   tclsh wish awk gawk mawk nawk original-awk
   npx pnpx bunx pipx uvx mail mailx mutt nmh run-mailcap xdg-open openvpn ld.so
   gs pdftex latex pdflatex xelatex lualatex tex groff troff nroff pandoc
   dmsetup hping3 slsh sqlmap tmate vagrant cpan crash csvtool cowsay cowthink debugfs dvips easy_install
   gtester ksshell msfconsole msgfilter ncdu neofetch pexec rtorrent runscript scanmem sshuttle task tasksh tdbtool w3m lynx links elinks
   xdotool zathura zypper check_by_ssh pidstat restic distcc gcore rake bundle bundler cobc facter puppet ansible ansible-playbook ansible-console salt salt-call`.split(/\s+/),
)

/** ld-linux-x86-64.so.2 starts the program it is given, whatever is said about that one's name. */
export function isLoader(name: string): boolean {
  return /^ld(?:-[\w.-]+)?\.so(?:\.\d+)*$/.test(name) || /^ld-musl/.test(name)
}
