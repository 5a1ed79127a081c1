/* The guest's side of ireko, see docs/guest-interface.md. One static program, several names. */
#ifndef IREKO_AGENT_H
#define IREKO_AGENT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define ROOT "/root-fs"
#define STATE "/run/ireko"
#define SEED STATE "/seed"
#define SYSTEM_FLAG STATE "/system" /* exists in the system way */
#define MAIN_PID STATE "/main.pid"
#define STDIN_FIFO STATE "/stdin"

/* devices.c: what the kernel shows of the machine */
void mount_kernel_file_systems(void);
void load_modules(const char *list);
bool find_port(const char *name, char *path, size_t size);      /* waits until it is there */
bool find_disk(const char *serial, char *path, size_t size);    /* a whole disk */
bool find_root_device(char *path, size_t size);                 /* the root disk, or its partition */

/* events.c: what the host is told */
void open_events(void);
void tell(const char *format, ...);
_Noreturn void give_up(const char *format, ...);                /* "error ...", then power off */

/* seed.c */
bool unpack_seed(const char *device);
bool seed_has(const char *name);
char *seed_text(const char *name);                              /* NULL: no such file; ends without a line break */
char **seed_words(const char *name);                            /* what ends with a NUL each; none: no such file */

/* network.c */
void set_up_network(void);

/* mounts.c: all paths are inside the root file system, whose symbolic links mean what they mean there */
void mount_root(void);
void mount_kernel_views(void);
void mount_identity(bool system);
void mount_volumes(void);
void unpack_copies(void);
void unmount_all(void);

/* channel.c */
void serve_channel(bool system);                                /* in a child; returns at once */

/* command.c and system.c */
_Noreturn void run_command(void);
_Noreturn void run_system(void);
_Noreturn void power_off(void);

/* exec.c and words.c: what the guest channel's sessions can call */
_Noreturn void become_command(int trouble);                     /* in a child; complains to this end of a pipe: "CODE TEXT" */
int exec_main(int argc, char **argv);
int shell_main(int argc, char **argv);
int root_main(void);
int signal_main(int argc, char **argv);
int poweroff_main(void);
int close_stdin_main(void);
void show_words(bool system);                                   /* make them seen in /run/ireko */

/* files.c */
bool write_file(const char *path, const char *text, mode_t mode);
char *read_file(const char *path, size_t *size);                /* NULL: it can't be read; ends with a NUL; size may be NULL */
bool copy_file(const char *from, const char *to, mode_t mode);
bool write_all(int fd, const char *data, size_t size);

#endif
