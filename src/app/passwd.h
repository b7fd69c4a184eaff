#pragma once

/*
 * Passwd
 *
 * Changes password files for nightjar-passwd. The new text is written beside the file, flushed,
 * given the file's owner and mode, and renamed over it: who reads the file meanwhile sees the old
 * one or the new one. The file is locked for that long, so that two who change it do so one after
 * the other. What is wrong is said on the standard error.
 */

#include "access/password.h"

/* The longest password that is typed, with its terminator. */
#define PASSWD_WORD_CAP 65536

struct passwd_change {
    const char *path;
    const char *username;
    const char *line; /* of the user, without an end; NULL: the user goes */
    bool creates;     /* a new file, whatever was there */
};

/* 0, or -errno: said, and the file is as it was. */
int passwd_change(const struct passwd_change *change) MUST_CHECK;

/* Replaces every password in plain text by what `hash` makes of it. The same. */
typedef int passwd_hash_fn(void *context, const char *password, char text[PASSWORD_TEXT_CAP]);

int passwd_update(const char *path, passwd_hash_fn *hash, void *context) MUST_CHECK;

/* Twice, without an echo where somebody types. 0, or -errno: said. */
int passwd_ask(char password[PASSWD_WORD_CAP]) MUST_CHECK;

/* Said, if it is not. */
bool passwd_name_is_valid(const char *username);
