/** The probe over the system's OpenSSH. Needs `ssh` on PATH; nothing is installed or written on the target. */
export { OUTPUT_BYTES_MAX, type ProbeOverSsh, type ProbeOverSshOptions, runProbeOverSsh } from './run-probe.ts';
export { checkTarget, type SshHop, type SshTarget } from './target.ts';
