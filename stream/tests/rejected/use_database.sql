-- use
USE shop;
