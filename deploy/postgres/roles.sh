#!/bin/sh
# Run once, by the image, when the data folder is empty: the two roles and the database of DESIGN §4.
# `preau_owner` owns everything and migrates; `preau_app` serves and owns nothing, so that row-level security binds it.
set -eu

psql --username postgres --set ON_ERROR_STOP=1 \
    --set owner_password="$PREAU_OWNER_PASSWORD" --set app_password="$PREAU_APP_PASSWORD" <<'SQL'
CREATE ROLE preau_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE preau_app LOGIN PASSWORD :'app_password';
CREATE DATABASE preau OWNER preau_owner;
REVOKE CONNECT ON DATABASE preau FROM PUBLIC;
GRANT CONNECT ON DATABASE preau TO preau_app;
SQL
